// SPDX-License-Identifier: Apache-2.0
// What the pipeline remembers between messages, and what is shown of it. Each memory is bounded, and shared by origin.
import { CrashPlaces } from './core/crash/history.ts';
import { CrashLoops } from './core/filter/aggregate.ts';
import { Commands } from './core/filter/commands.ts';
import { Incidents } from './core/filter/incidents.ts';
import { Loops } from './core/filter/loops.ts';
import { Endings, Last, Recent, Seen } from './core/filter/memory.ts';
import { Repeats } from './core/filter/repeats.ts';
import type { RecentTermination, Rule } from './core/filter/rules.ts';
import type { ArgumentsMode } from './core/identity/arguments.ts';
import type { LoginsMode } from './core/identity/logins.ts';
import { Requests } from './core/requests/requests.ts';
import { Units } from './core/requests/units.ts';
import { Restarts } from './core/telemetry/restart.ts';
import type { SpansMode } from './core/telemetry/span.ts';
import { isoTime } from './core/time.ts';
import { Deferred } from './deferred.ts';
import { Acks } from './io/loader/acks.ts';
import type { Open } from './io/queue/open-rows.ts';
import { type Item, UIDS_MAX } from './io/queue/queue.ts';

/** Terminations in /recent. */
const RECENT_MAX = 100;

export interface Settings {
  readonly arguments: ArgumentsMode;
  readonly logins: LoginsMode;
  /** Records of one service per minute. Infinity: no limit. */
  readonly recordsPerMinute: number;
  /** Which records are also sent as spans, if spans are sent: those that name a trace, or all. */
  readonly spans: SpansMode;
}

/** What the queue kept of the previous run. */
export interface Remembered extends Open {
  readonly uids: readonly string[];
}

/** `RecentTermination`, as far as it costs nothing. */
interface Latest extends Omit<RecentTermination, 'time'> {
  readonly endedNs: bigint;
}

/** State that is kept between messages. */
export interface State {
  /** Replaced when the rules file is reloaded. */
  rules: readonly Rule[];
  readonly seen: Seen;
  readonly recent: Recent;
  readonly places: CrashPlaces;
  readonly loops: CrashLoops;
  readonly incidents: Incidents;
  readonly commands: Commands;
  readonly restartLoops: Loops;
  readonly restarts: Restarts;
  readonly endings: Endings;
  readonly repeats: Repeats;
  readonly latest: Last<Latest>;
  readonly units: Units;
  readonly requests: Requests;
  readonly deferred: Deferred;
  readonly acks: Acks;
  /** Terminations received again: the loader resends what was not acknowledged. */
  duplicates: number;
  /** Records of processes that claimed what only the kernel states. */
  falseClaims: number;
  /** Result of the last batch. The next is stored after it, so that batches are stored in the order of their conclusion. */
  stored: Promise<boolean>;
  /** Filtered terminations that are not stored yet. */
  readonly held: Item[];
  /** Something is open, and will be looked at. */
  isLooking: boolean;
  /** The service is shutting down: nothing is opened or stored any more. */
  ended: boolean;
}

/** `rules` is another array only if they changed. */
export function applyRules(state: State, rules: readonly Rule[]): void {
  if (rules === state.rules) return;
  state.rules = rules;
  state.repeats.rulesChanged();
}

/** `nowMs`: of the steady clock. */
export function newState(
  rules: readonly Rule[],
  settings: Settings,
  before: Remembered | null = null,
  nowMs = performance.now(),
): State {
  return {
    rules,
    seen: new Seen(UIDS_MAX, before?.uids),
    recent: new Recent(),
    places: new CrashPlaces(),
    loops: new CrashLoops(settings.recordsPerMinute, before?.open),
    incidents: new Incidents(settings.recordsPerMinute === Number.POSITIVE_INFINITY, before?.incidents),
    commands: new Commands(),
    restartLoops: new Loops(before?.loops, nowMs),
    restarts: new Restarts(),
    endings: new Endings(),
    repeats: new Repeats(before?.repeats),
    latest: new Last(RECENT_MAX),
    units: new Units(),
    requests: new Requests(before?.requests),
    deferred: new Deferred(),
    acks: new Acks(),
    duplicates: 0,
    falseClaims: 0,
    stored: Promise.resolve(true),
    held: [],
    isLooking: false,
    ended: false,
  };
}

/** What origins lost in the memories. */
export function displaced({ incidents, loops, restartLoops, recent, requests, restarts }: State) {
  return {
    incidents: incidents.closedEarly,
    open_minutes: loops.closedEarly,
    recent_services: recent.forgotten,
    loops: restartLoops.forgotten,
    requests: requests.forgotten,
    restarts: restarts.forgotten,
  };
}

/** The last terminations, oldest first, as /recent shows them. */
export function recentTerminations(settings: Settings, state: State): readonly RecentTermination[] {
  return state.latest.members().map(({ endedNs, subject, ...same }) => {
    const shown = settings.arguments === 'off' ? null : subject.arguments;
    return { time: isoTime(endedNs), ...same, subject: { ...subject, arguments: shown } };
  });
}
