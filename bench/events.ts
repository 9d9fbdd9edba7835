// SPDX-License-Identifier: Apache-2.0
// The kinds of events that the probes handle, the load that makes many of each, and the cost of one, from the kernel's own timing of each
// run of a BPF program (bpf_stats).
import { LONG_ARGS, LONG_ENV } from './parts/part.ts';
import { atHook, between, emptyAt, type Lap, load, type ProbeCost } from './program.ts';

export const EXIT_HOOK = 'sched_process_exit';
export const SIGNAL_HOOK = 'signal_generate';
export const DELIVER_HOOK = 'signal_deliver';

const SIGUSR1 = 10;
const SIGTERM = 15;
const SIGURG = 23;
const EXITS = 10_000;
const THREADS = 20_000;
const SIGNALS = 50_000;
export const KILLS = 2_000;
/** Terminations are paced, because a ring that runs low shrinks their records. */
const DEATHS_PER_SECOND = 1_000;
const DEATH_SECONDS = 2;
/** With 6 KB each, they use less than half of the ring even if the loader reads nothing in the meantime. */
const DEATHS_IN_A_ROW = 500;

export interface Event {
  readonly id: string;
  readonly title: string;
  readonly make: () => Promise<Lap>;
  readonly hook: string;
  /** Its cost is also reported as a multiple of that of an empty program at the hook, in the same load. */
  readonly comparedWithEmpty?: true;
  /** Id of an event measured earlier: the load also causes these, in the same program, and their cost is subtracted. */
  readonly alsoCauses?: string;
}

const exitLoad = () => load(['exit', 0, EXITS]);
const deaths = (...more: string[]) => ['storm', DEATHS_PER_SECOND, DEATH_SECONDS, 1, ...more];

export const EVENTS: readonly Event[] = [
  { id: 'exit_normal', title: 'normal exit', make: exitLoad, hook: EXIT_HOOK, comparedWithEmpty: true },
  { id: 'thread_exit', title: 'thread exit', make: () => load(['threads', THREADS]), hook: EXIT_HOOK },
  {
    id: 'signal_sigchld',
    title: 'ignored signal: SIGCHLD',
    make: exitLoad,
    hook: SIGNAL_HOOK,
    comparedWithEmpty: true,
  },
  {
    id: 'signal_sigurg',
    title: 'ignored signal: SIGURG',
    make: () => load(['send', SIGURG, SIGNALS]),
    hook: SIGNAL_HOOK,
    comparedWithEmpty: true,
  },
  {
    id: 'signal_handled',
    title: 'signal to a handler, not stored: SIGUSR1',
    make: () => load(['pingpong', SIGUSR1, SIGNALS]),
    hook: SIGNAL_HOOK,
  },
  {
    id: 'signal_delivered',
    title: 'the same signal, at delivery',
    make: () => load(['pingpong', SIGUSR1, SIGNALS]),
    hook: DELIVER_HOOK,
  },
  {
    id: 'signal_remembered_again',
    title: 'stored signal: handled SIGTERM, repeatedly',
    make: () => load(['pingpong', SIGTERM, SIGNALS]),
    hook: SIGNAL_HOOK,
    comparedWithEmpty: true,
  },
  {
    id: 'signal_remembered',
    title: 'stored signal: SIGKILL, the first of its process',
    make: () => load(['kill', KILLS]),
    hook: SIGNAL_HOOK,
    comparedWithEmpty: true,
    alsoCauses: 'signal_sigchld',
  },
  {
    id: 'death_killed',
    title: 'reported termination by SIGKILL',
    make: () => load(['kill', KILLS]),
    hook: EXIT_HOOK,
  },
  {
    id: 'death_small',
    title: 'reported termination, few arguments',
    make: () => load(deaths(), {}),
    hook: EXIT_HOOK,
  },
  {
    id: 'death_with_arguments',
    title: 'reported termination, 3 KB of arguments and 2 KB of environment',
    make: () => load(deaths(...LONG_ARGS), LONG_ENV),
    hook: EXIT_HOOK,
  },
  {
    id: 'death_in_a_row',
    title: 'the same, without pauses',
    make: () => load(['exit', 3, DEATHS_IN_A_ROW, ...LONG_ARGS], LONG_ENV),
    hook: EXIT_HOOK,
  },
];

export interface Cost {
  /** For one event: the mean of one load. */
  readonly ns: number;
  /** Of an empty program at the same hook, in the same load; NaN if there is none. */
  readonly emptyNs: number;
}

/** Measures one load. `alsoNs`: the cost of the events that it also causes. */
export async function costOf(event: Event, loaderPid: number, probeCost: ProbeCost, alsoNs = 0): Promise<Cost> {
  const pids = [loaderPid, probeCost.pid];
  const before = await probeCost.snapshot(pids);
  const { count } = await event.make();
  const after = await probeCost.snapshot(pids);
  const { runs, ns } = between(before, after, atHook(event.hook));
  if (runs < count) throw new Error(`${event.title}: generated ${count} events, but the program ran ${runs} times`);
  const empty = between(before, after, emptyAt(event.hook));
  return {
    ns: event.alsoCauses === undefined ? ns / runs : (ns - (runs - count) * alsoNs) / count,
    emptyNs: empty.ns / empty.runs,
  };
}
