// SPDX-License-Identifier: Apache-2.0
// One sentence that tells a person what happened: the Body of the record and the headline of the console. It says nothing that
// the verdict does not; where the sender is not known it says so.

import { placementOf } from '../identity/placement.ts';
import { executableName, type Host, userName } from '../identity/resource.ts';
import { duration, size } from '../time.ts';
import { codeName, SIGINT, SIGQUIT, SIGXFSZ, signalName } from '../verdict/signals.ts';
import { syscallName } from '../verdict/syscalls.ts';
import type { Verdict } from '../verdict/verdict.ts';
import type { Actor, Ancestor, Death } from '../wire/event.ts';
import { exitMeaning } from './explain.ts';

/** Signals that ask a process to stop: their death is an order that was obeyed. */
export const STOP_SIGNALS: ReadonlySet<number> = new Set([1, SIGINT, SIGQUIT, 15]);

/** The sentence, with its full stop. */
export function sentence(death: Death, verdict: Verdict, host: Host): string {
  const who = `${executableName(death.process)} (pid ${death.process.pid})`;
  const core = verdict.coreDumped ? ' (core dumped)' : '';
  const lived = duration(death.time_ns - death.process.start_boottime_ns);
  const { deed, reason } = story(death, verdict, host);
  return reason === undefined
    ? `${who} ${deed}${core}, after ${lived}.`
    : `${who} ${deed}${core} after ${lived}${reason}.`;
}

/** A sentence names this many of a sender's ancestors; `whodunit.sender.ancestors` has all. */
const ANCESTORS_IN_SENTENCE = 3;

/** `runc (pid 99, root) ← containerd-shim ← containerd`: the sender and those who started it. */
export function senderLabel(sender: Actor, host: Host): string {
  const user = userName(sender.uid, placementOf(sender.cgroup), host) ?? `uid ${sender.uid}`;
  const nearest = sender.ancestors.slice(0, ANCESTORS_IN_SENTENCE).map(({ comm }) => ` ← ${comm}`);
  const chain = nearest.join('') + (sender.ancestors.length > ANCESTORS_IN_SENTENCE ? ' ← …' : '');
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

/** `deed` comes before the time that it lived, `reason` after it. */
interface Story {
  readonly deed: string;
  readonly reason?: string;
}

function story(death: Death, verdict: Verdict, host: Host): Story {
  const signal = signalName(verdict.signo);
  switch (verdict.cause) {
    case 'exit':
      return exitStory(death, verdict, host);
    case 'fault':
      return { deed: `crashed with ${signal}${faultDetail(death, verdict)}` };
    case 'abort':
      return { deed: `aborted (${signal})${inThread(death, verdict)}` };
    case 'self_signal':
      return { deed: `ended itself with ${signal}` };
    case 'killed':
      return {
        deed: `was ${STOP_SIGNALS.has(verdict.signo) ? 'stopped' : 'killed'} by ${signal}, sent by ${sentBy(verdict, host)}`,
      };
    case 'oom_kill':
      return { deed: 'was killed by the out-of-memory killer', reason: oomReason(death, verdict) };
    case 'seccomp': {
      const call = verdict.fault?.syscall ?? null;
      const name = call === null ? '' : `: it called ${syscallName(call, verdict.fault?.syscall_arch ?? null)}`;
      return { deed: `was killed by seccomp (${signal})`, reason: name };
    }
    case 'resource_limit':
      return {
        deed: `was killed by ${signal}`,
        reason:
          verdict.signo === SIGXFSZ ? ': a file reached its size limit' : ': it used up its limit of processor time',
      };
    case 'broken_pipe':
      return { deed: `ended with ${signal}`, reason: ': it wrote to a pipe or socket that nobody reads any more' };
    case 'hangup':
      return { deed: `ended with ${signal}`, reason: ': its terminal went away' };
    case 'terminal':
      return { deed: `was interrupted from its terminal with ${signal}${typedKey(verdict.signo)}` };
    case 'timer':
      return { deed: `was ended by ${signal}`, reason: ': a timer that it had set ran out' };
    case 'parent_death':
      return { deed: `was killed by ${signal}`, reason: ': its parent ended, and it had asked to follow' };
    case 'namespace_exit':
      return { deed: `was killed by ${signal}`, reason: ': the init of its pid namespace ended' };
    case 'kernel':
      return { deed: `was killed by ${signal} from the kernel` };
    case 'unknown':
      return { deed: `was killed by ${signal}`, reason: '; who sent it is not known' };
  }
}

function sentBy(verdict: Verdict, host: Host): string {
  return verdict.sender === null ? 'an unknown process' : senderLabel(verdict.sender, host);
}

function exitStory(death: Death, verdict: Verdict, host: Host): Story {
  const deed = `exited with code ${verdict.exitCode}`;
  if (verdict.signal === null) {
    const meaning = exitMeaning(verdict.exitCode ?? 0, executableName(death.process));
    return { deed: meaning === null ? deed : `${deed} (${meaning})` };
  }
  const since = duration(death.time_ns - verdict.signal.time_ns);
  const by = verdict.sender === null ? '' : `, sent by ${senderLabel(verdict.sender, host)}`;
  return { deed, reason: `, ${since} after it handled ${signalName(verdict.signal.signo)}${by}` };
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

function oomReason(death: Death, verdict: Verdict): string {
  const { oom } = death;
  if (verdict.oomScope === 'host') return ': the machine ran out of memory';
  if (verdict.oomScope !== 'cgroup') return '';
  const where = oom?.cgroup == null ? 'its cgroup' : `cgroup ${oom.cgroup}`;
  const limit = oom?.limit == null ? 'its memory limit' : `its limit of ${size(oom.limit)}`;
  return `: ${where} reached ${limit}`;
}

function typedKey(signo: number): string {
  if (signo === SIGINT) return ' (Ctrl-C)';
  return signo === SIGQUIT ? ' (Ctrl-\\)' : '';
}
