// SPDX-License-Identifier: Apache-2.0
// One sentence that tells a person what happened: the Body of the record and the headline of the console. It says nothing that
// the verdict does not; where the sender is not known it says so.
import type { Verdict } from './classify.ts';
import { executableName, type Host, placementOf, userName } from './enrich.ts';
import type { Actor, Ancestor, Death } from './event.ts';
import { codeName, SIGINT, SIGKILL, SIGQUIT, SIGXFSZ, signalName } from './signals.ts';
import { syscallName } from './syscalls.ts';
import { duration, size } from './time.ts';

/** Signals that ask a process to stop: their death is an order that was obeyed. */
export const STOP_SIGNALS: ReadonlySet<number> = new Set([1, SIGINT, SIGQUIT, 15]);

/** The sentence, with its full stop. */
export function sentence(death: Death, verdict: Verdict, host: Host): string {
  const who = `${executableName(death.process)} (pid ${death.process.pid})`;
  const core = verdict.coreDumped ? ' (core dumped)' : '';
  const lived = duration(death.time_ns - death.process.start_boottime_ns);
  return `${who} ${story(death, verdict, host)}${core}, after ${lived}.`;
}

/** `runc (pid 99, root) ← containerd-shim ← containerd`: the sender and those who started it. */
export function senderLabel(sender: Actor, host: Host): string {
  const user = userName(sender.uid, placementOf(sender.cgroup), host) ?? `uid ${sender.uid}`;
  const chain = sender.ancestors.map(({ comm }) => ` ← ${comm}`).join('');
  return `${executableName(sender)} (pid ${sender.pid}, ${user})${chain}`;
}

/** `["containerd-shim(812)", "systemd(1)"]`, nearest first. */
export function ancestorLabels(ancestors: readonly Ancestor[]): string[] {
  return ancestors.map(({ comm, pid }) => `${comm}(${pid})`);
}

/** `SEGV_MAPERR at 0xbeef`; `SI_KERNEL` where there is no address. */
export function faultLabel(signo: number, code: number, address: string | null): string {
  return address === null ? codeName(signo, code) : `${codeName(signo, code)} at ${address}`;
}

function story(death: Death, verdict: Verdict, host: Host): string {
  const signal = signalName(verdict.signo);
  switch (verdict.cause) {
    case 'exit':
      return `exited with code ${verdict.exitCode}${afterRequest(death, verdict, host)}`;
    case 'fault':
      return `crashed with ${signal}${faultDetail(death, verdict)}`;
    case 'abort':
      return `aborted (${signal})${inThread(death, verdict)}`;
    case 'self_signal':
      return `ended itself with ${signal}`;
    case 'killed':
      return `was ${STOP_SIGNALS.has(verdict.signo) ? 'stopped' : 'killed'} by ${signal}, sent by ${sentBy(verdict, host)}`;
    case 'oom_kill':
      return `was killed by the out-of-memory killer${oomDetail(death, verdict)}`;
    case 'seccomp': {
      const call = verdict.fault?.syscall ?? null;
      const name = call === null ? '' : ` for calling ${syscallName(call, verdict.fault?.syscall_arch ?? null)}`;
      return `was killed by seccomp${name} (${signal})`;
    }
    case 'resource_limit':
      return verdict.signo === SIGXFSZ
        ? `was killed by ${signal}: a file reached its size limit`
        : `was killed by ${signal}: it used up its limit of processor time`;
    case 'broken_pipe':
      return `ended with ${signal}: it wrote to a pipe or socket that nobody reads any more`;
    case 'hangup':
      return `ended with ${signal}: its terminal went away`;
    case 'terminal':
      return `was interrupted from its terminal with ${signal}${typedKey(verdict.signo)}`;
    case 'timer':
      return `was ended by ${signal}: a timer that it had set ran out`;
    case 'parent_death':
      return `was killed by ${signal}: its parent ended, and it had asked to follow`;
    case 'namespace_exit':
      return `was killed by ${signal}: the init of its pid namespace ended`;
    case 'kernel':
      return `was killed by ${signal} from the kernel`;
    case 'unknown':
      return `was killed by ${signal}; who sent it is not known`;
  }
}

function sentBy(verdict: Verdict, host: Host): string {
  return verdict.sender === null ? 'an unknown process' : senderLabel(verdict.sender, host);
}

function afterRequest(death: Death, verdict: Verdict, host: Host): string {
  if (verdict.signal === null) return '';
  const since = duration(death.time_ns - verdict.signal.time_ns);
  const by = verdict.sender === null ? '' : `, sent by ${senderLabel(verdict.sender, host)}`;
  return ` ${since} after it handled ${signalName(verdict.signal.signo)}${by}`;
}

function faultDetail(death: Death, verdict: Verdict): string {
  const { fault } = verdict;
  const label =
    fault === null
      ? verdict.signal === null
        ? null
        : codeName(verdict.signo, verdict.signal.code)
      : faultLabel(fault.signo, fault.code, fault.address);
  return `${label === null ? '' : ` (${label})`}${inThread(death, verdict)}`;
}

/** Names the thread only where it is not the only or first one. */
function inThread(death: Death, verdict: Verdict): string {
  const { thread } = verdict;
  if (thread === null || thread.tid === death.process.pid) return '';
  return ` in thread ${thread.name ?? thread.tid}`;
}

function oomDetail(death: Death, verdict: Verdict): string {
  const { oom } = death;
  const signal = verdict.signo === SIGKILL ? '' : ` (${signalName(verdict.signo)})`;
  if (verdict.oomScope === 'host') return `${signal}: the machine ran out of memory`;
  if (verdict.oomScope !== 'cgroup') return signal;
  const where = oom?.cgroup == null ? 'its cgroup' : `cgroup ${oom.cgroup}`;
  const limit = oom?.limit == null ? 'its memory limit' : `its limit of ${size(oom.limit)}`;
  return `${signal}: ${where} reached ${limit}`;
}

function typedKey(signo: number): string {
  if (signo === SIGINT) return ' (Ctrl-C)';
  return signo === SIGQUIT ? ' (Ctrl-\\)' : '';
}
