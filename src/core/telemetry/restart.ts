// SPDX-License-Identifier: Apache-2.0
// The record of a restart: which process now runs the terminated program, after which delay, and what started it. Only a termination with
// a record gets one. The kernel reports that an executable of that name was started in that cgroup (bpf/restart.h); this file decides
// whether it is the same program.
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { ArgumentsMode } from '../identity/arguments.ts';
import { namedAncestors } from '../identity/names.ts';
import { Displaced, FairMap, type OriginKey } from '../shares.ts';
import { hrTime, isoTime, SECOND_NS, seconds } from '../time.ts';
import type { Restart, Victim } from '../wire/event.ts';
import { ancestorLabels } from '../words/labels.ts';
import { duration } from '../words/units.ts';
import { visible } from '../words/visible.ts';
import type { Attributes } from './attributes.ts';
import { SCOPE } from './record.ts';
import * as semconv from './semconv.ts';
import { recordUid, uidOf } from './uid.ts';

/** Reported terminations that are kept: as many as in the kernel (RECENT_TERMINATIONS_MAX). */
const REMEMBERED_MAX = 1024;
/** A restart after this time is not reported by the kernel (RECENT_TERMINATION_NS in bpf/restart.h). */
const RESTARTED_WITHIN_NS = 60n * SECOND_NS;
const INFO = { severityNumber: 9, severityText: 'INFO' } as const;

/** The part of a reported termination that a restart needs. REMEMBERED_MAX of them are kept, so it is small. */
export interface Reported {
  readonly uid: string;
  readonly incident: string;
  readonly victim: Program & Pick<Victim, 'cgroup'>;
  readonly resource: ReadableLogRecord['resource'];
  readonly spanContext: ReadableLogRecord['spanContext'] | undefined;
  readonly endedNs: bigint;
  readonly origin: OriginKey;
  /** The key of the service: its restarts count towards its limit of records per minute (core/filter/aggregate.ts). */
  readonly service: string;
}

type Program = Pick<Victim, 'exe' | 'args'>;

/** The reported terminations whose restart was not seen yet. */
export class Restarts {
  readonly #terminations = new FairMap<Reported>(REMEMBERED_MAX);
  /** Terminations that were forgotten while a restart could still follow. */
  readonly forgotten = new Displaced();

  add(termination: Reported): void {
    const displaced = this.#terminations.set(termination.uid, termination.origin, termination);
    if (displaced !== null && termination.endedNs - displaced.value.endedNs < RESTARTED_WITHIN_NS)
      this.forgotten.add(displaced.origin);
  }

  /** Removes and returns the termination that this restart follows. null: it has no record, or was another program. */
  take(restart: Restart, bootId: string): Reported | null {
    const uid = recordUid(bootId, restart.dead.pid, restart.dead.start_boottime_ns);
    const termination = this.#terminations.get(uid);
    if (termination === undefined || !isSameProgram(termination.victim, restart.process)) return null;
    // With cgroup version 1, units share the one that the kernel compares.
    if (isElsewhere(termination.victim, restart.process)) return null;
    this.#terminations.delete(uid);
    return termination;
  }
}

function isElsewhere({ cgroup: before }: Pick<Victim, 'cgroup'>, { cgroup: now }: Pick<Victim, 'cgroup'>): boolean {
  return before !== null && now !== null && before !== now;
}

/** The same executable with the same arguments; only the executable if the terminated process had set a title (setproctitle(3)). */
export function isSameProgram(before: Program, now: Program): boolean {
  if (before.exe === null || before.exe !== now.exe || before.args === null || now.args === null) return false;
  const [title, ...rest] = before.args;
  if (rest.length === 0 && title?.includes(' ')) return true;
  return before.args.length === now.args.length && before.args.every((arg, index) => arg === now.args?.[index]);
}

/** The record has its own uid: a second record with the same uid is a duplicate. `whodunit.termination.uid` refers to the termination. */
export function buildRestart(
  restart: Restart,
  termination: Reported,
  observedNs: bigint,
  mode: ArgumentsMode,
): ReadableLogRecord {
  const { process } = restart;
  const delayNs = restart.time_ns - restart.dead.time_ns;
  const ancestors = namedAncestors(process.ancestors, mode, (uid) => ({ uid, name: null }));
  const [starter] = ancestors;
  const attributes: Attributes = {
    [semconv.LOG_RECORD_UID]: uidOf(`${termination.uid}/restart`),
    [semconv.TERMINATION_UID]: termination.uid,
    [semconv.INCIDENT_ID]: termination.incident,
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
    body: visible(
      `${resource.attributes[semconv.PROCESS_NAME]} was restarted${by} as pid ${process.pid}, ${duration(delayNs)} after pid ${restart.dead.pid} terminated.`,
    ),
    attributes: attributes as ReadableLogRecord['attributes'],
    droppedAttributesCount: 0,
    resource,
    instrumentationScope: SCOPE,
    ...(spanContext === undefined ? {} : { spanContext }),
  };
}
