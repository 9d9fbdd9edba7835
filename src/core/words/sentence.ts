// SPDX-License-Identifier: Apache-2.0
// One sentence about a termination: the Body of the record and the headline of the console. It states only what the verdict says, also
// that the sender is not known.

import type { Identities, Identity } from '../identity/identity.ts';
import type { Named } from '../identity/names.ts';
import { shownName } from '../naming/program.ts';
import { kernelReason } from '../verdict/kernel-reason.ts';
import { notificationOf } from '../verdict/notification.ts';
import { SIGINT, SIGQUIT, signalName, TERMINATION_REQUESTS } from '../verdict/signals.ts';
import { sessionLabel } from '../verdict/trigger.ts';
import type { Verdict } from '../verdict/verdict.ts';
import { containerLabel, faultLabel } from './labels.ts';
import { quotedName, quotedText } from './quoted.ts';
import { signalClause } from './signal-meanings.ts';
import { duration, size } from './units.ts';

/** Why and where a process crashed. null: not known. */
export interface CrashClause {
  readonly words: string | null;
  readonly place: string | null;
}

/**
 * The sentence, with its full stop. `meaning`: of the exit code; null: not known. `crash`: null: it did not crash. `stop`: what it means
 * that this sender stopped it; null: nothing more. `before`: how the process that triggered it had ended (`it was killed by SIGKILL`); null: not known.
 */
export function sentence(
  verdict: Verdict,
  identities: Identities,
  meaning: string | null,
  crash: CrashClause | null,
  stop: string | null = null,
  before: string | null = null,
): string {
  const { victim } = identities;
  const core = verdict.coreDumped ? ' (core dumped)' : '';
  const uptime = duration(verdict.uptimeNs);
  const { what, reason } = withCrash(partsOf(verdict, victim, labelsOf(identities), meaning), crash);
  // Without a sender, what asked for it is a part of the reason.
  const asked = stop === null ? '' : `${verdict.sender === null ? ',' : ':'} ${stop}`;
  const more = `${before === null ? '' : `; ${before}`}${asked}${stopped(verdict, identities)}`;
  const end = `${reason === undefined ? `, after ${uptime}` : ` after ${uptime}${reason}`}${more}.`;
  return `${victim.name} (pid ${victim.pid}${containerLabel(victim)}${rootLabel(victim)}) ${what}${core}${end}`;
}

/** `; it had been stopped for 20 s by SIGSTOP, sent by bash (pid 99, root)`. */
function stopped({ stop, signal }: Verdict, { victim, stopper }: Identities): string {
  if (stop === null) return '';
  const sender = stopper === null ? '' : `, sent by ${senderLabel(stopper, victim)}`;
  const by = { process: sender, self: ' of its own', kernel: stop.why === null ? '' : `: ${stop.why}`, unknown: '' };
  const until = stop.continued && signal !== null ? `, when ${signalName(signal.signo)} came` : '';
  return `; it had been stopped for ${duration(stop.lastedNs)} by ${signalName(stop.signo)}${by[stop.senderKind]}${until}`;
}

/** How it ended, as a clause: `was killed by SIGKILL, sent by bash (pid 99, root)`. */
export function ending(verdict: Verdict, identities: Identities): string {
  const { what, reason = '' } = partsOf(verdict, identities.victim, labelsOf(identities), null);
  return `${what}${reason}`;
}

/** How the other processes are named. */
interface Labels {
  /** null: no process sent the signal, or not known. */
  readonly sender: string | null;
  /** null: no process made the kernel send it, or not known. */
  readonly trigger: string | null;
}

function labelsOf({ victim, sender, trigger }: Identities): Labels {
  return {
    sender: sender === null ? null : senderLabel(sender, victim),
    trigger: trigger === null ? null : senderLabel(trigger, victim),
  };
}

/** Ancestors of the sender in a sentence. `whodunit.sender.ancestors` has all. */
const ANCESTORS_IN_SENTENCE = 3;

/** `runc (pid 99, root) ← containerd-shim ← containerd`: the sender and its ancestors. Its container is named if it is not the victim's. */
export function senderLabel(sender: Identity, victim: Identity): string {
  const { pid, name, user, ancestors } = sender;
  const where = isSamePlace(sender, victim) ? '' : containerLabel(sender);
  const nearest = ancestors.slice(0, ANCESTORS_IN_SENTENCE).map((ancestor) => ` ← ${ancestor.name}`);
  const chain = nearest.join('') + (ancestors.length > ANCESTORS_IN_SENTENCE ? ' ← …' : '');
  return `${name} (pid ${pid}, ${user.name ?? `uid ${user.uid}`}${where}${rootLabel(sender)}${commLabel(sender)})${chain}`;
}

function isSamePlace({ placement: a }: Identity, { placement: b }: Identity): boolean {
  return a.containerId === b.containerId && a.containerName === b.containerName;
}

/** Without an executable, the name is the comm, which a process may choose. */
function commLabel({ executable }: Identity): string {
  return executable === null ? ', executable not known' : '';
}

/** A name from a foreign root may be anyone's choice. */
function rootLabel({ foreignRoot }: Identity): string {
  return foreignRoot === null ? '' : ', in a foreign root';
}

/** `what` comes before the uptime, `reason` after it. */
interface Parts {
  readonly what: string;
  readonly reason?: string;
}

/** `exit code 1`, `SIGKILL`. `refused`: the request that it did not follow before; null: none. */
export function statusWords({ exitCode, signo }: Verdict, refused: number | null): string {
  if (exitCode !== null) return `exit code ${exitCode}`;
  return refused === null ? signalName(signo) : `${signalName(signo)} after ${signalName(refused)}`;
}

function partsOf(verdict: Verdict, victim: Named, labels: Labels, meaning: string | null): Parts {
  const { sender } = labels;
  const signal = signalName(verdict.signo);
  switch (verdict.cause) {
    case 'exit':
      return exitParts(verdict, labels, meaning);
    case 'graceful_stop':
      return { what: 'stopped gracefully', reason: `: it exited with code 0${afterRequest(verdict, labels)}` };
    case 'fault':
      return { what: `crashed with ${signal}${faultDetail(verdict, victim)}` };
    case 'abort':
      return verdict.disposition === 'handled'
        ? { what: `aborted (${signal})`, reason: afterRequest(verdict, labels) }
        : { what: `aborted (${signal})${inThread(verdict, victim)}` };
    case 'self_signal':
      return { what: `terminated itself with ${signal}` };
    case 'killed':
      return {
        what: `was ${TERMINATION_REQUESTS.has(verdict.signo) ? 'stopped' : 'killed'} by ${signal}, sent by ${sender ?? 'an unknown process'}`,
      };
    case 'oom_kill':
      return { what: 'was killed by the out-of-memory killer', reason: oomReason(verdict, victim, labels.trigger) };
    case 'seccomp':
      return {
        what: `was killed by seccomp (${signal})`,
        reason: verdict.refusedCall === null ? '' : `: it called ${verdict.refusedCall}`,
      };
    case 'resource_limit':
      return {
        what: `was killed by ${signal}`,
        ...meaningOf(verdict),
      };
    case 'broken_pipe':
      return { what: `was terminated by ${signal}`, ...meaningOf(verdict) };
    case 'hangup':
      return verdict.trigger === null
        ? { what: `was terminated by ${signal}`, ...meaningOf(verdict) }
        : { what: `was terminated by ${signal}`, reason: `: ${actLabel(verdict, labels.trigger)}` };
    case 'timer':
      return { what: `was terminated by ${signal}`, ...meaningOf(verdict) };
    case 'terminal':
      return { what: `was interrupted from its terminal with ${signal}${keyLabel(verdict.signo)}` };
    case 'parent_death':
      return { what: `was killed by ${signal}`, reason: `: ${actLabel(verdict, labels.trigger)}` };
    case 'namespace_exit':
      return { what: `was killed by ${signal}`, ...meaningOf(verdict) };
    case 'kernel':
      return kernelParts(verdict, signal);
    case 'unknown':
      return { what: `was killed by ${signal}`, reason: `; the sender is not known${tracerLabel(verdict)}` };
  }
}

/** In the words of `whodunit explain`. */
function meaningOf({ signo, cause }: Verdict): Pick<Parts, 'reason'> {
  const clause = signalClause(signo, cause);
  return clause === null ? {} : { reason: `: ${clause}` };
}

/** A cause that has a reason of its own keeps it: the place follows. */
function withCrash({ what, reason }: Parts, crash: CrashClause | null): Parts {
  const clauses = [...(reason ? [] : [crash?.words]), crash?.place == null ? null : `in ${quotedText(crash.place)}`];
  const text = clauses.filter((clause) => clause != null).join(', ');
  if (text === '') return reason === undefined ? { what } : { what, reason };
  return { what, reason: reason ? `${reason}, ${text}` : `: ${text}` };
}

/** What made the kernel send the signal. PR_SET_PDEATHSIG comes when the thread ends that started the process, even if its own process goes on. */
function actLabel({ cause, trigger }: Verdict, name: string | null): string {
  switch (trigger?.act) {
    case 'closed_terminal':
      return `its terminal${sessionLabel(trigger.session)} was closed by ${name}`;
    case 'session_ended':
      return `the leader of its session, ${name}, terminated`;
    case 'thread_ended':
      return `the thread of its parent, ${name}, that started it ended (PR_SET_PDEATHSIG)`;
    case 'asked_for_memory':
      return `${name} asked for memory`;
    case 'parent_ended':
      return `its parent, ${name}, terminated (PR_SET_PDEATHSIG)`;
    case undefined:
      return cause === 'parent_death' ? 'its parent terminated (PR_SET_PDEATHSIG)' : 'its terminal was closed';
  }
}

/** ptrace(2) delivers a signal without sending one (ptrace_signal() in kernel/signal.c). */
function tracerLabel({ traced, signal }: Verdict): string {
  return traced && signal === null ? ': a tracer was attached, and may have given it the signal' : '';
}

function kernelParts({ signal }: Verdict, name: string): Parts {
  const what = `was killed by ${name} from the kernel`;
  const reason = signal === null ? null : (notificationOf(signal) ?? kernelReason(signal));
  return reason === null ? { what } : { what, reason: `: ${reason}` };
}

function exitParts(verdict: Verdict, labels: Labels, meaning: string | null): Parts {
  const what = `exited with code ${verdict.exitCode}`;
  if (verdict.signal === null) return { what: meaning === null ? what : `${what} (${meaning})` };
  return { what, reason: afterRequest(verdict, labels) };
}

function afterRequest(verdict: Verdict, { sender, trigger }: Labels): string {
  const { signal, signalToExitNs } = verdict;
  if (signal === null || signalToExitNs === null) return '';
  const why = trigger === null ? '' : `: ${actLabel(verdict, trigger)}`;
  const by = sender === null ? why : `, sent by ${sender}`;
  return `, ${duration(signalToExitNs)} after it handled ${signalName(signal.signo)}${by}`;
}

function faultDetail(verdict: Verdict, victim: Named): string {
  const { fault, signal, signo } = verdict;
  const seen = fault ?? (signal === null ? null : { signo, code: signal.code, address: null });
  const label = seen === null ? '' : ` (${faultLabel(seen.signo, seen.code, seen.address)})`;
  return `${label}${inThread(verdict, victim)}`;
}

/** Names the thread only if it is not the main thread. */
function inThread({ thread }: Verdict, victim: Named): string {
  if (thread === null || thread.tid === victim.pid) return '';
  return ` in thread ${thread.name === null ? thread.tid : shownName(thread.name)}`;
}

/** Which memory was at its end, how much of it the process had, and who asked for more. */
function oomReason({ oom, oomScope, trigger, signal }: Verdict, victim: Named, asker: string | null): string {
  const used = oom === null ? null : rss(oom);
  const had = used === null || used === 0n ? '' : `; it had ${size(used)}`;
  const self = signal?.sender.pid === victim.pid;
  const asked = trigger?.act === 'asked_for_memory' ? `, when ${asker} asked for more` : '';
  const more =
    self && oomScope !== 'unknown' ? `${had}${had === '' ? '; it' : ''} and asked for more` : `${asked}${had}`;
  if (oomScope === 'host') return `: the machine ran out of memory${more}`;
  if (oomScope !== 'cgroup') return '';
  const where = oom?.cgroup == null ? 'its cgroup' : `cgroup ${quotedName(oom.cgroup)}`;
  const limit = oom?.limit == null ? 'its memory limit' : `its limit of ${size(oom.limit)}`;
  return `: ${where} reached ${limit}${more}`;
}

/** Memory that its end frees. */
function rss({ anon_rss, file_rss, shmem_rss }: NonNullable<Verdict['oom']>): bigint {
  return (anon_rss ?? 0n) + (file_rss ?? 0n) + (shmem_rss ?? 0n);
}

function keyLabel(signo: number): string {
  if (signo === SIGINT) return ' (Ctrl-C)';
  return signo === SIGQUIT ? ' (Ctrl-\\)' : '';
}
