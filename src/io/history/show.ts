// SPDX-License-Identifier: Apache-2.0
// `whodunit show`: finds one record, and what belongs to it: its restart, its incident, earlier ends of the same service.
import { EXIT_SEARCH_FAILED, FatalError } from '../../core/errors.ts';
import { type Entry, SHORT_UID_CHARS } from '../../core/history/entry.ts';
import { reasonOf, shortTime } from '../../core/history/table.ts';
import { type Row, renderReport } from '../../core/report/report.ts';
import type { HistoryReader } from './reader.ts';

/** Greater numbers are no pids: PID_MAX_LIMIT of the kernel. */
const PID_MAX = 4_194_304;
/** Members of an incident, and earlier ends of the service, that are shown. */
const MEMBERS_MAX = 20;
const EARLIER_MAX = 5;
/** Records of loops among which the others of one are searched. */
const LOOPS_SEARCHED = 200;

/** Returns the record. null: none fits. Throws a FatalError that shows the candidates if several fit. */
export function findOne(reader: HistoryReader, what: string): Entry | null {
  if (what === 'last') return reader.list({ kind: 'termination' }, { limit: 1 }).entries[0] ?? null;
  const ofPid = /^\d{1,7}$/.test(what) && Number(what) <= PID_MAX ? reader.ofPid(Number(what)) : [];
  const found = ofPid.length > 0 ? ofPid : reader.find(what);
  if (found.length <= 1) return found[0] ?? null;
  const candidates = found.map(lineOf).join('; ');
  const message = `${what} fits ${found.length} records or more: ${candidates}. Give more of the id.`;
  throw new FatalError('USAGE', message, EXIT_SEARCH_FAILED);
}

export interface Related {
  readonly restart: Entry | null;
  /** The incident's own record first. */
  readonly members: readonly Entry[];
  readonly earlier: readonly Entry[];
  /** The other records of the loop. */
  readonly loop: readonly Entry[];
}

export function relatedTo(reader: HistoryReader, entry: Entry): Related {
  const { incident_id: incident, service, time_ns: untilNs } = entry;
  const others = (entries: readonly Entry[]) => entries.filter(({ id }) => id !== entry.id);
  const members = incident === undefined ? [] : reader.list({ incident }, { limit: MEMBERS_MAX }).entries;
  const earlier =
    service === undefined || entry.kind !== 'termination'
      ? []
      : reader.list({ service, untilNs, kind: 'termination' }, { limit: EARLIER_MAX }).entries;
  return {
    restart: entry.kind === 'termination' ? reader.restartOf(entry) : null,
    members: others(members),
    earlier: others(earlier),
    loop: entry.loop_id === undefined ? [] : others(loopRecords(reader, entry)),
  };
}

/** Of the last loops. */
function loopRecords(reader: HistoryReader, { loop_id: id }: Entry): readonly Entry[] {
  return reader.list({ kind: 'loop' }, { limit: LOOPS_SEARCHED }).entries.filter(({ loop_id }) => loop_id === id);
}

/** The report, with all of its stack, and with what belongs to the record. */
export function wholeReport(entry: Entry, { restart, members, earlier, loop }: Related, colour: boolean): string {
  const { kind, incident_id: incident } = entry;
  const more: Row[] = [
    // The report of an incident names it, too.
    ['incident', incident === undefined || kind === 'incident' ? [] : [incident]],
    ['', members.map(lineOf)],
    ['restart', restart === null ? [] : [restart.body]],
    ['earlier', earlier.map(lineOf)],
    ['loop', loop.map(({ time_ns: ns, body }) => `${shortTime(ns)} ${body}`)],
    ['delivery', [deliveryOf(entry)]],
    ['id', [entry.id]],
  ];
  return renderReport(entry.record, { colour, whole: true, more });
}

function lineOf(entry: Entry): string {
  const { process, uid, sender } = entry;
  const by = sender === undefined ? '' : ` by ${sender}`;
  return `${uid.slice(0, SHORT_UID_CHARS)} ${shortTime(entry.time_ns)} ${process.name} (pid ${process.pid ?? '-'}) ${reasonOf(entry)}${by}`;
}

function deliveryOf({ delivery }: Entry): string {
  const { state, at_ns: atNs, endpoint, reason } = delivery;
  const when = atNs === undefined ? '' : ` at ${shortTime(atNs)}`;
  const remark = reason === undefined ? '' : `: ${reason}`;
  switch (state) {
    case 'delivered':
      return `delivered${when} to ${endpoint}${remark}`;
    case 'rejected':
      return `rejected${when} by ${endpoint}${remark}`;
    case 'waiting':
      return 'waiting: the collector has not accepted it yet';
    case 'none':
      return 'not sent: no collector is configured';
  }
}
