// SPDX-License-Identifier: Apache-2.0
// The act that brought a termination, as far as one termination shows it: which other terminations it may share an incident with.
// incidents.ts compares; the verdict says who sent the signal.
import type { Placement } from '../identity/placement.ts';
import type { IncidentActValue } from '../telemetry/semconv.ts';
import { CGROUP_KILL, has, NAMESPACE_EXIT, TERMINAL } from '../verdict/frames.ts';
import { SIGINT, SIGKILL, SIGQUIT } from '../verdict/signals.ts';
import type { Cause, Verdict } from '../verdict/verdict.ts';
import type { Actor, Death, Signal } from '../wire/event.ts';

export type IncidentAct = IncidentActValue;
export type Process = Pick<Actor, 'pid' | 'start_boottime_ns'>;

/** A termination as incidents compare it. Times are CLOCK_BOOTTIME: no clock that steps moves a termination into another incident. */
export interface Termination {
  readonly process: Process & { readonly parentPid: number };
  readonly endedNs: bigint;
  /** The container, unit or cgroup. */
  readonly scope: string;
  /** The same for all terminations of the act, but for processes in different scopes. null: no act is known. */
  readonly key: string | null;
  readonly act: IncidentAct;
  /** When the act reached the process: the signal, or the request that came before it from the same sender. */
  readonly actNs: bigint;
  /** When the sender sent SIGKILL after that request. null: there was no request. */
  readonly killNs: bigint | null;
  /** The service, if init started the process, or took it over when its parent ended. */
  readonly service: string | null;
  /** A single system call sent all signals. */
  readonly oneCall: boolean;
  /** The process whose termination made the kernel send the signal. */
  readonly follows: Process | null;
  /** Its parent sent the signal. */
  readonly byParent: boolean;
  /** The key of the act whose signal the sender may have passed on: npm sends Ctrl-C to its child. null: it sent another signal. */
  readonly passedOnKey: string | null;
  /** As a shell reports it: the exit code, or 128 and the signal. */
  readonly status: number;
  /** It may pass on the status of a child: it exited, or sent the signal to itself. */
  readonly passesOn: boolean;
  /** The request of the sender that it did not follow, before the sender sent SIGKILL. null: there was none. */
  readonly refused: number | null;
  /** It has a record of its own in every incident. */
  readonly standsOut: boolean;
}

/** Wrong in themselves, whichever process stopped it. */
const OUTSTANDING: ReadonlySet<Cause> = new Set(['fault', 'abort', 'oom_kill', 'seccomp', 'resource_limit']);
export function terminationOf(death: Death, verdict: Verdict, placement: Placement): Termination {
  const { process, time_ns: endedNs } = death;
  const { signal, sender, cause } = verdict;
  const scope = scopeOf(placement, process.cgroup);
  const refused = cause === 'killed' && verdict.signo === SIGKILL ? refusedRequest(death, sender) : null;
  const byParent = sender !== null && sender.pid === process.parent_pid;
  const actNs = refused?.time_ns ?? signal?.time_ns ?? endedNs;
  return {
    process: { pid: process.pid, start_boottime_ns: process.start_boottime_ns, parentPid: process.parent_pid },
    endedNs,
    scope,
    ...actOf(verdict, scope, death.origin.uid),
    actNs,
    killNs: refused === null ? null : (signal?.time_ns ?? null),
    service: isChildOfInit(process) && SERVICE.test(scope) ? scope : null,
    oneCall: has(signal, CGROUP_KILL) !== null,
    follows: followed(verdict),
    byParent,
    passedOnKey: byParent && signal !== null ? terminalKey(signal, scope, death.origin.uid) : null,
    status: verdict.exitCode ?? 128 + verdict.signo,
    passesOn: verdict.exitCode !== null || verdict.senderKind === 'self',
    refused: refused?.signo ?? null,
    standsOut: OUTSTANDING.has(cause),
  };
}

const SERVICE = /\.service$/;
const INIT = /^(?:systemd|init)$/;

/** By its comm, as in loop-member.ts. */
function isChildOfInit({ parent_pid: parentPid, ancestors: [parent] }: Death['process']): boolean {
  return parentPid === 1 || (parent !== undefined && INIT.test(parent.comm));
}

/** What is stopped as a whole. */
function scopeOf({ containerId, containerName, userUnit, unit }: Placement, cgroup: string | null): string {
  // The unit of a user may have the name of one of the system.
  const named = userUnit === null ? unit : `${unit ?? ''}/${userUnit}`;
  return containerId ?? containerName ?? named ?? cgroup ?? '';
}

function actOf(
  { signal, senderKind, trigger, cause }: Verdict,
  scope: string,
  uid: number,
): Pick<Termination, 'act' | 'key'> {
  if (signal === null) return { act: 'exit', key: null };
  const by = `${signal.sender.pid}/${signal.sender.start_boottime_ns}`;
  if (has(signal, CGROUP_KILL) !== null) return { act: 'cgroup_kill', key: `cgroup.kill ${by}` };
  if (senderKind === 'process' || senderKind === 'self') return { act: 'signal', key: `${by} ${scope}` };
  if (cause === 'namespace_exit' && has(signal, NAMESPACE_EXIT) !== null)
    return { act: 'namespace_exit', key: namespaceKey(signal.sender) };
  if (trigger !== null) return { act: trigger.act === 'parent_ended' ? 'exit' : 'hangup', key: `${trigger.act} ${by}` };
  if (isTyped(signal)) return { act: 'terminal', key: terminalKey(signal, scope, uid) };
  return { act: 'exit', key: null };
}

/** The key of what the init of a pid namespace takes with it. */
export function namespaceKey({ pid, start_boottime_ns: startNs }: Process): string {
  return `namespace ${pid}/${startNs}`;
}

/** Whichever thread the kernel sent it from: no person types at two terminals within a second. Another user may, in the same container. */
function terminalKey({ signo }: Signal, scope: string, uid: number): string {
  return `terminal ${signo} ${uid} ${scope}`;
}

/** A key typed at the terminal: the kernel sends the signal to the whole foreground process group. */
function isTyped(signal: Signal): boolean {
  return (
    signal.info === 'kernel' && (has(signal, TERMINAL) !== null || signal.signo === SIGINT || signal.signo === SIGQUIT)
  );
}

function followed({ cause, signal, trigger }: Verdict): Process | null {
  if (cause === 'namespace_exit' && signal !== null) return signal.sender;
  return trigger?.task ?? null;
}

/** The request of the process that then sent SIGKILL. */
function refusedRequest({ request }: Death, sender: Actor | null): Signal | null {
  if (request === null || sender === null || request.signo === SIGKILL) return null;
  const { pid, start_boottime_ns: startNs } = request.sender;
  return pid === sender.pid && startNs === sender.start_boottime_ns ? request : null;
}
