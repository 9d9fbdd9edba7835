// SPDX-License-Identifier: Apache-2.0
// The record that tells of a restart: who runs now what died, how soon, and who started it. It follows the record of the death and never
// comes without it. That an executable of that name was started in that place is the kernel's word (bpf/restart.h); whether it is the
// same program is asked here.
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { type Attributes, executableName } from '../identity/resource.ts';
import { duration, hrTime, isoTime, seconds } from '../time.ts';
import type { Restart, Victim } from '../wire/event.ts';
import { ancestorLabels } from '../words/sentence.ts';
import { recordUid, SCOPE, uidOf } from './record.ts';
import * as semconv from './semconv.ts';

/** Reported deaths that are remembered: as many as the kernel does (RECENT_TERMINATIONS_MAX). The oldest goes first. */
const REMEMBERED_MAX = 1024;
const INFO = { severityNumber: 9, severityText: 'INFO' } as const;

/** What of a death that has a record a restart needs: no more, as the last thousand are kept. */
export interface Reported {
  readonly uid: string;
  readonly victim: Program;
  readonly resource: ReadableLogRecord['resource'];
  readonly spanContext: ReadableLogRecord['spanContext'] | undefined;
  /** Which service: restarts share its minute (crash-loop.ts). */
  readonly service: string;
}

type Program = Pick<Victim, 'exe' | 'args'>;

/** The deaths that may yet be followed by a restart. */
export class Restarts {
  readonly #deaths = new Map<string, Reported>();

  add(death: Reported): void {
    this.#deaths.set(death.uid, death);
    if (this.#deaths.size <= REMEMBERED_MAX) return;
    const oldest = this.#deaths.keys().next();
    if (!oldest.done) this.#deaths.delete(oldest.value);
  }

  /** The death that this restart follows, once; null: it has no record, or was another program. */
  take(restart: Restart, bootId: string): Reported | null {
    const uid = recordUid(bootId, restart.dead.pid, restart.dead.start_boottime_ns);
    const death = this.#deaths.get(uid);
    if (death === undefined || !isSameProgram(death.victim, restart.process)) return null;
    this.#deaths.delete(uid);
    return death;
  }
}

/** The same executable with the same arguments; where the dead wrote a title over its own, the executable alone. */
export function isSameProgram(dead: Program, now: Program): boolean {
  if (dead.exe === null || dead.exe !== now.exe || dead.args === null || now.args === null) return false;
  const [title, ...rest] = dead.args;
  if (rest.length === 0 && title?.includes(' ')) return true;
  return dead.args.length === now.args.length && dead.args.every((argument, index) => argument === now.args?.[index]);
}

/** Its uid is its own, since a second record of the same uid is a copy to whoever sees both; `whodunit.termination.uid` is the death's. */
export function buildRestart(restart: Restart, death: Reported, observedNs: bigint): ReadableLogRecord {
  const { process } = restart;
  const delayNs = restart.time_ns - restart.dead.time_ns;
  const [starter] = process.ancestors;
  const attributes: Attributes = {
    [semconv.LOG_RECORD_UID]: uidOf(`${death.uid}/restart`),
    [semconv.TERMINATION_UID]: death.uid,
    [semconv.RESTART_PID]: process.pid,
    [semconv.RESTART_TIME]: isoTime(restart.time_ns + restart.clock_offset_ns),
    [semconv.RESTART_DELAY]: seconds(delayNs),
  };
  if (process.ancestors.length > 0) attributes[semconv.RESTART_ANCESTORS] = ancestorLabels(process.ancestors);
  const by = starter === undefined ? '' : ` by ${starter.comm} (pid ${starter.pid})`;
  const { spanContext, resource } = death;
  return {
    eventName: semconv.EVENT_PROCESS_RESTART,
    hrTime: hrTime(restart.time_ns + restart.clock_offset_ns),
    hrTimeObserved: hrTime(observedNs),
    ...INFO,
    body: `${executableName(process)} was started again${by} as pid ${process.pid}, ${duration(delayNs)} after pid ${restart.dead.pid} had ended.`,
    attributes: attributes as ReadableLogRecord['attributes'],
    droppedAttributesCount: 0,
    resource,
    instrumentationScope: SCOPE,
    ...(spanContext === undefined ? {} : { spanContext }),
  };
}
