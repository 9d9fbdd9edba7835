// SPDX-License-Identifier: Apache-2.0
// The history → what the page asks for. Paging and sums are the history's: the page never has more than one page of records.
import type { Entry } from '../../core/history/entry.ts';
import type { DetailAnswer, ListAnswer, Loop, OverviewAnswer } from '../../core/page/answers.ts';
import { detailOf, msOf, rowOf } from '../../core/page/row.ts';
import { numberOf } from '../../core/page/values.ts';
import * as semconv from '../../core/telemetry/semconv.ts';
import type { Filter, History } from '../history/reader.ts';

const ROWS = 50;
const BARS = 60;
const TOP = 8;
/** Terminations in 10 minutes from which on a service is said to be in a loop. */
const LOOP_RECENT_MIN = 3;
const MEMBERS_SHOWN = 50;
const EARLIER_SHOWN = 5;

export function listAnswer(history: History, filter: Filter, before: string | null): ListAnswer {
  const { entries, next } = history.list(filter, { limit: ROWS, cursor: before });
  return { rows: entries.map(rowOf), next };
}

export function overviewAnswer(history: History, filter: Filter): OverviewAnswer {
  const stats = history.stats(filter, { bins: BARS, top: TOP });
  return {
    total: stats.total,
    fromMs: msOf(stats.fromNs),
    stepMs: msOf(stats.stepNs),
    series: stats.series,
    killers: stats.senders,
    services: stats.services,
    loops: stats.services.flatMap(({ name, count }) => loopOf(history, filter, name, count)),
  };
}

function loopOf(history: History, filter: Filter, service: string, total: number): Loop[] {
  if (total < LOOP_RECENT_MIN) return [];
  const [last] = history.list({ ...filter, service }, { limit: 1, cursor: null }).entries;
  const recent = numberOf(last?.attributes[semconv.RECENT_TERMINATIONS]) ?? 0;
  if (last === undefined || recent < LOOP_RECENT_MIN) return [];
  return [{ service, recent, total, lastMs: msOf(last.time_ns), last: rowOf(last).body, id: last.id }];
}

/** null: there is no such record. */
export function detailAnswer(history: History, id: string): DetailAnswer | null {
  const entry = history.get(id);
  if (entry === null) return null;
  const { incident_id: incident, service } = entry;
  const members =
    incident === undefined ? [] : history.list({ incident }, { limit: MEMBERS_SHOWN + 1, cursor: null }).entries;
  const others = members.filter((member) => member.id !== id);
  return detailOf(entry, {
    restarts: restartsOf(history, entry),
    members: others.slice(0, MEMBERS_SHOWN),
    moreMembers: others.length > MEMBERS_SHOWN,
    earlier: service === undefined ? [] : earlierOf(history, entry, service),
  });
}

/** The termination before a restart; or the restart of a termination, which is among the next records of the service. */
function restartsOf(history: History, entry: Entry): readonly Entry[] {
  const before = entry.attributes[semconv.TERMINATION_UID];
  if (typeof before === 'string') return [history.get(before)].filter((found) => found !== null);
  return [];
}

function earlierOf(history: History, entry: Entry, service: string): readonly Entry[] {
  const page = { limit: EARLIER_SHOWN + 1, cursor: null };
  const { entries } = history.list({ service, untilNs: entry.time_ns }, page);
  return entries.filter(({ id, kind }) => id !== entry.id && kind === 'termination').slice(0, EARLIER_SHOWN);
}
