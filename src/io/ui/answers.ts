// SPDX-License-Identifier: Apache-2.0
// The history → what the page asks for. Paging and sums are the history's: the page never has more than one page of records.
import type { Entry } from '../../core/history/entry.ts';
import type { Filter } from '../../core/history/filter.ts';
import type { Count, DetailAnswer, ListAnswer, Loop, OverviewAnswer } from '../../core/page/answers.ts';
import { literal } from '../../core/page/literal.ts';
import { detailOf, msOf, rowOf } from '../../core/page/row.ts';
import * as semconv from '../../core/telemetry/semconv.ts';
import type { HistoryReader } from '../history/reader.ts';

const ROWS = 50;
const BARS = 60;
const TOP = 8;
/** The newest records of loops, which are searched for those of different loops. */
const LOOP_RECORDS = 50;
const MEMBERS_SHOWN = 50;
const EARLIER_SHOWN = 5;

/** What the page needs of the history. */
export type History = Pick<HistoryReader, 'list' | 'get' | 'restartOf' | 'stats' | 'since' | 'problems'>;

export function listAnswer(history: History, filter: Filter, before: string | null): ListAnswer {
  const { entries, next } = history.list(filter, { limit: ROWS, cursor: before });
  return { rows: entries.map(rowOf), next };
}

/** `nowNs`: the time until which the bars go if the filter has none. */
export function overviewAnswer(history: History, filter: Filter, nowNs: bigint): OverviewAnswer {
  const stats = history.stats({ ...filter, untilNs: filter.untilNs ?? nowNs }, { bins: BARS, top: TOP });
  return {
    total: stats.total,
    fromMs: msOf(stats.fromNs),
    stepMs: Number(stats.stepNs) / 1e6,
    series: stats.series,
    killers: stats.senders.filter(({ name }) => !NO_KILLERS.has(name)).map(countOf),
    services: stats.services.map(countOf),
    loops: loopsOf(history, filter),
  };
}

/** What the history says in place of a sender's name. */
const NO_KILLERS: ReadonlySet<string> = new Set(['self', 'unknown']);

function countOf({ name, count }: Count): Count {
  return { name, count };
}

/** The last record of each loop, newest first. */
function loopsOf(history: History, filter: Filter): Loop[] {
  const { entries } = history.list({ ...filter, kind: 'loop' }, { limit: LOOP_RECORDS });
  const newest = new Map([...entries].reverse().map((entry) => [entry.loop_id, entry]));
  return entries
    .filter((entry) => newest.get(entry.loop_id) === entry)
    .slice(0, TOP)
    .map((entry) => ({ isOver: entry.attributes[semconv.LOOP_STATE] === 'ended', row: rowOf(entry) }));
}

/** null: there is no such record. */
export function detailAnswer(history: History, id: string): DetailAnswer | null {
  const entry = history.get(id);
  if (entry === null) return null;
  const { incident_id: incident, service } = entry;
  const members =
    incident === undefined ? [] : history.list({ incident: literal(incident) }, { limit: MEMBERS_SHOWN + 1 }).entries;
  const others = members.filter((member) => member.id !== id);
  return detailOf(entry, {
    restarts: restartsOf(history, entry),
    members: others.slice(0, MEMBERS_SHOWN),
    moreMembers: others.length > MEMBERS_SHOWN,
    earlier: service === undefined ? [] : earlierOf(history, entry, service),
  });
}

/** The restart of a termination, or the termination before a restart. */
function restartsOf(history: History, entry: Entry): readonly Entry[] {
  const { termination_uid: before } = entry;
  const found = before === undefined ? history.restartOf(entry) : history.get(before);
  return found === null ? [] : [found];
}

function earlierOf(history: History, entry: Entry, service: string): readonly Entry[] {
  const page = { limit: EARLIER_SHOWN };
  const { entries } = history.list({ service: literal(service), untilNs: entry.time_ns, kind: 'termination' }, page);
  return entries;
}
