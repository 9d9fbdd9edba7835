// SPDX-License-Identifier: Apache-2.0
// The record of a restart: which process now runs the terminated program, how soon, and what started it. It follows the record of the
// termination and never comes without it. The kernel reports that an executable of that name was started in that cgroup (bpf/restart.h);
// whether it is the same program is decided here.
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { displayName, namedAncestors } from '../identity/names.ts';
import { duration, hrTime, isoTime, seconds } from '../time.ts';
import type { Restart, Victim } from '../wire/event.ts';
import { ancestorLabels } from '../words/sentence.ts';
import type { Attributes } from './attributes.ts';
import { recordUid, SCOPE, uidOf } from './record.ts';
import * as semconv from './semconv.ts';

/** Reported terminations that are kept: as many as in the kernel (RECENT_TERMINATIONS_MAX). The oldest is dropped first. */
const REMEMBERED_MAX = 1024;
const INFO = { severityNumber: 9, severityText: 'INFO' } as const;

/** Of a reported termination, what a restart needs. No more: the last thousand are kept. */
export interface Reported {
  readonly uid: string;
  readonly victim: Program;
  readonly resource: ReadableLogRecord['resource'];
  readonly spanContext: ReadableLogRecord['spanContext'] | undefined;
  /** The service: its restarts count in its minute (core/filter/aggregate.ts). */
  readonly service: string;
}

type Program = Pick<Victim, 'exe' | 'args'>;

/** The terminations that a restart may still follow. */
export class Restarts {
  readonly #terminations = new Map<string, Reported>();

  add(termination: Reported): void {
    this.#terminations.set(termination.uid, termination);
    if (this.#terminations.size <= REMEMBERED_MAX) return;
    const oldest = this.#terminations.keys().next();
    if (!oldest.done) this.#terminations.delete(oldest.value);
  }

  /** The termination that this restart follows, once; null: it has no record, or was another program. */
  take(restart: Restart, bootId: string): Reported | null {
    const uid = recordUid(bootId, restart.dead.pid, restart.dead.start_boottime_ns);
    const termination = this.#terminations.get(uid);
    if (termination === undefined || !isSameProgram(termination.victim, restart.process)) return null;
    this.#terminations.delete(uid);
    return termination;
  }
}

/** The same executable with the same arguments; if the terminated process had set a title (setproctitle(3)), the executable alone. */
export function isSameProgram(before: Program, now: Program): boolean {
  if (before.exe === null || before.exe !== now.exe || before.args === null || now.args === null) return false;
  const [title, ...rest] = before.args;
  if (rest.length === 0 && title?.includes(' ')) return true;
  return before.args.length === now.args.length && before.args.every((arg, index) => arg === now.args?.[index]);
}

/** It has a uid of its own, since a second record with the same uid counts as a copy; `whodunit.termination.uid` is the termination's. */
export function buildRestart(restart: Restart, termination: Reported, observedNs: bigint): ReadableLogRecord {
  const { process } = restart;
  const delayNs = restart.time_ns - restart.dead.time_ns;
  const ancestors = namedAncestors(process.ancestors);
  const [starter] = ancestors;
  const attributes: Attributes = {
    [semconv.LOG_RECORD_UID]: uidOf(`${termination.uid}/restart`),
    [semconv.TERMINATION_UID]: termination.uid,
    [semconv.RESTART_PID]: process.pid,
    [semconv.RESTART_TIME]: isoTime(restart.time_ns + restart.clock_offset_ns),
    [semconv.RESTART_DELAY]: seconds(delayNs),
  };
  if (ancestors.length > 0) attributes[semconv.RESTART_ANCESTORS] = ancestorLabels(ancestors);
  const by = starter === undefined ? '' : ` by ${starter.name} (pid ${starter.pid})`;
  const { spanContext, resource } = termination;
  return {
    eventName: semconv.EVENT_PROCESS_RESTART,
    hrTime: hrTime(restart.time_ns + restart.clock_offset_ns),
    hrTimeObserved: hrTime(observedNs),
    ...INFO,
    body: `${displayName(process)} was restarted${by} as pid ${process.pid}, ${duration(delayNs)} after pid ${restart.dead.pid} terminated.`,
    attributes: attributes as ReadableLogRecord['attributes'],
    droppedAttributesCount: 0,
    resource,
    instrumentationScope: SCOPE,
    ...(spanContext === undefined ? {} : { spanContext }),
  };
}
