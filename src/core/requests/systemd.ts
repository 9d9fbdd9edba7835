// SPDX-License-Identifier: Apache-2.0
// Why systemd sent a signal: what it was asked for, or which of its own limits it enforced. Several reasons where a fact is missing that would
// tell them apart. From src/core/{service,unit,kill}.c of systemd.
import type { Identities } from '../identity/identity.ts';
import { SECOND_NS } from '../time.ts';
import { SIGABRT, SIGKILL } from '../verdict/signals.ts';
import type { Verdict } from '../verdict/verdict.ts';
import type { Death, Signal } from '../wire/event.ts';
import { carrierOf } from './carrier.ts';
import type { Requester } from './join.ts';
import { keyOf } from './key.ts';
import type { Known } from './requests.ts';
import { matchOf } from './target.ts';
import type { Carrier } from './tools.ts';

/** systemd reads at once that a cgroup had an OOM kill, or that a process of a unit ended. */
const REACTS_WITHIN_NS = 5n * SECOND_NS;

/** The values of `whodunit.systemd.reason`. */
export type SystemdReasonValue =
  | 'stop'
  | 'kill'
  | 'shutdown'
  | 'stop_timeout'
  | 'start_timeout'
  | 'watchdog'
  | 'oom_policy'
  | 'session_end'
  | 'main_process_ended';

/** What happened in a unit last. CLOCK_BOOTTIME. */
export interface UnitEvents {
  readonly oomKillNs: bigint | null;
  readonly terminationNs: bigint | null;
}

export interface SystemdReason {
  /** One: it was this. Several: it was one of these. */
  readonly reasons: readonly SystemdReasonValue[];
  /** The request that the reason shows. null: it was not asked. */
  readonly isAsked: boolean;
  /** From its first signal to the one that terminated the process. null: there was one. */
  readonly waitedNs: bigint | null;
}

export interface Circumstances {
  readonly known: readonly Known[];
  readonly userNames: ReadonlyMap<number, string>;
  readonly requester: Requester | null;
  /** Before this termination. */
  readonly unit: UnitEvents;
}

/** null: systemd did not send the signal. */
export function systemdReasonOf(
  death: Death,
  verdict: Verdict,
  identities: Identities,
  circumstances: Circumstances,
): SystemdReason | null {
  const { sender, role, victim } = identities;
  const { signal } = verdict;
  const carrier = sender === null ? null : carrierOf(sender, role, victim);
  if (signal === null || (carrier !== 'systemd' && carrier !== 'user_systemd')) return null;
  const earlier = earlierOf(signal, death.request);
  const waitedNs = earlier === null ? null : signal.time_ns - earlier.time_ns;
  const { requester } = circumstances;
  if (role?.shutsDown) return { reasons: ['shutdown'], isAsked: true, waitedNs };
  if (requester?.act === 'kill' && earlier === null) return { reasons: ['kill'], isAsked: true, waitedNs };
  const limits = limitsOf(death, signal, earlier);
  if (limits !== null) return { reasons: limits, isAsked: false, waitedNs };
  if (requester?.act === 'shutdown') return { reasons: ['shutdown'], isAsked: true, waitedNs };
  if (requester !== null) return { reasons: ['stop'], isAsked: true, waitedNs };
  return { reasons: unaskedReasons(death, signal, victim, carrier, circumstances), isAsked: false, waitedNs };
}

/** A limit of the unit that was enforced. null: none. systemd gives WATCHDOG_USEC to the processes that it watches. */
function limitsOf({ process: victim }: Death, { signo }: Signal, earlier: Signal | null): SystemdReasonValue[] | null {
  if (signo === SIGKILL && earlier !== null) return [earlier.signo === SIGABRT ? 'watchdog' : 'stop_timeout'];
  if (signo !== SIGABRT) return null;
  if (earlier !== null) return ['stop_timeout'];
  return victim.env?.WATCHDOG_USEC === undefined ? ['watchdog', 'start_timeout'] : ['watchdog'];
}

function unaskedReasons(
  death: Death,
  signal: Signal,
  victim: Identities['victim'],
  carrier: Carrier,
  circumstances: Circumstances,
): SystemdReasonValue[] {
  const { unit } = circumstances;
  if (isShortly(unit.oomKillNs, signal)) return ['oom_policy'];
  if (signal.signo === SIGKILL) return ['kill', 'main_process_ended'];
  if (isShortly(unit.terminationNs, signal)) return ['main_process_ended', 'stop'];
  if (isStarting(death, signal, circumstances, victim)) return ['start_timeout'];
  if (victim.placement.unit?.startsWith('session-')) return ['session_end'];
  return carrier === 'user_systemd' ? ['stop', 'session_end'] : ['stop', 'start_timeout'];
}

/** The signal of the same systemd before the last one. */
function earlierOf(signal: Signal, request: Signal | null): Signal | null {
  if (request === null || request === signal || request.time_ns >= signal.time_ns) return null;
  return keyOf(request.sender) === keyOf(signal.sender) ? request : null;
}

function isShortly(eventNs: bigint | null, signal: Signal): boolean {
  return eventNs !== null && eventNs <= signal.time_ns && signal.time_ns - eventNs <= REACTS_WITHIN_NS;
}

/** A command that started the unit still waited for it when the signal came. */
function isStarting(
  { process }: Death,
  signal: Signal,
  { known, userNames }: Circumstances,
  victim: Identities['victim'],
): boolean {
  const claimed = { ...victim, cgroupClaimed: process.cgroup_claimed };
  return known.some(
    ({ ask, request, end }) =>
      ask.isStart &&
      request.time_ns <= process.start_boottime_ns &&
      (end === null || end.atNs >= signal.time_ns) &&
      request.process.uid === signal.sender.uid &&
      matchOf(ask, claimed, userNames) === 'named',
  );
}
