// SPDX-License-Identifier: Apache-2.0
// The commands that read the history: list, show, follow, stats, purge. Each returns its exit code, as grep does: 0 found, 1 none.
import { existsSync } from 'node:fs';
import type { HistoryCommand, HistoryQuery, PurgeQuery } from '../../config/history-flags.ts';
import type { Entry } from '../../core/history/entry.ts';
import { renderStatistics, renderTable } from '../../core/history/table.ts';
import { visibleJson } from '../../core/words/visible.ts';
import { renderer, renderJson, wantsColour } from '../console.ts';
import type { Log } from '../log.ts';
import { outputLost, print, write } from '../output.ts';
import { purgeRequestPath } from '../queue/purge-request.ts';
import { sleep } from '../sleep.ts';
import { page } from './pager.ts';
import { purge } from './purge.ts';
import { type HistoryReader, openHistory } from './reader.ts';
import { findOne, relatedTo, wholeReport } from './show.ts';

const FOUND = 0;
const NONE = 1;
const LIST_LIMIT = 100;
const TOP = 10;
/** Characters of the sparkline. */
const BINS = 60;
const FOLLOW_POLL_MS = 250;
/** The service looks for requests once a second. */
const PURGED_WITHIN_MS = 5_000;

/** Returns the exit code. Throws a FatalError if the history cannot be read. */
export function runHistoryCommand(config: HistoryCommand, log: Log): Promise<number> {
  switch (config.command) {
    case 'list':
      return list(config, log);
    case 'show':
      return show(config.what, config, log);
    case 'follow':
      return follow(config);
    case 'stats':
      return stats(config, log);
    case 'purge':
      return remove(config, log);
  }
}

async function list(query: HistoryQuery, log: Log): Promise<number> {
  const reader = openHistory(query.stateDir);
  const { filter, reverse, output } = query;
  const { entries } = reader.list(filter, { limit: query.limit ?? LIST_LIMIT, reverse });
  reportProblems(reader, log);
  if (output === 'json') await print(`${visibleJson(entries.map(jsonOf), null, 2)}\n`);
  else if (output === 'jsonl') await print(entries.map((entry) => `${visibleJson(jsonOf(entry))}\n`).join(''));
  else if (entries.length > 0) await page(renderTable(entries, terminalWidth()), query.pager);
  else log.line(nothing(query));
  return entries.length > 0 ? FOUND : NONE;
}

async function show(what: string, query: HistoryQuery, log: Log): Promise<number> {
  const reader = openHistory(query.stateDir);
  const entry = findOne(reader, what);
  reportProblems(reader, log);
  if (entry === null) {
    log.line(what === 'last' ? nothing(query) : `No record fits ${what}: see whodunit list.`);
    return NONE;
  }
  const related = relatedTo(reader, entry);
  const { restart, members, earlier } = related;
  if (query.output === 'json') {
    const json = {
      ...jsonOf(entry),
      restart: restart && jsonOf(restart),
      members: members.map(jsonOf),
      earlier: earlier.map(jsonOf),
    };
    await print(`${visibleJson(json, null, 2)}\n`);
  } else await page(wholeReport(entry, related, wantsColour(process.stdout, process.env)), query.pager);
  return FOUND;
}

/** Until its reader is gone, or it is interrupted. */
async function follow({ stateDir, filter, output }: HistoryQuery): Promise<number> {
  const reader = openHistory(stateDir);
  const render = renderer(output === 'report' ? 'report' : 'text', process.stdout, process.env);
  const never = new AbortController().signal;
  let { cursor } = reader.since(null);
  for (;;) {
    await sleep(FOLLOW_POLL_MS, never);
    const news = reader.since(cursor, filter);
    ({ cursor } = news);
    const text = news.entries.map((entry) =>
      output === 'json' ? `${visibleJson(jsonOf(entry))}\n` : render(entry.record),
    );
    const error = text.length === 0 ? null : await write(process.stdout, text.join(''));
    if (error?.code === 'EPIPE') return FOUND;
    if (error != null) throw outputLost(error);
  }
}

async function stats(query: HistoryQuery, log: Log): Promise<number> {
  const reader = openHistory(query.stateDir);
  const statistics = reader.stats(query.filter, { bins: BINS, top: query.limit ?? TOP });
  reportProblems(reader, log);
  if (query.output === 'json') await print(`${visibleJson(statistics, stringified, 2)}\n`);
  else if (statistics.total > 0) await page(renderStatistics(statistics, terminalWidth()), query.pager);
  else log.line(nothing(query));
  return statistics.total > 0 ? FOUND : NONE;
}

async function remove(query: PurgeQuery, log: Log): Promise<number> {
  const { removed, kept, waiting, unreported } = purge(query.stateDir, openHistory(query.stateDir), query);
  const others = unreported === 0 ? '' : `, and the facts of ${unreported} terminations without a record`;
  await print(`${removed} records ${query.dryRun ? 'would be' : 'were'} removed${others}\n`);
  if (kept > 0) log.line(`${kept} more are not delivered yet and stay: --undelivered removes them, too.`);
  if (waiting > 0 && !query.dryRun) await print(await removedFromQueue(query.stateDir, waiting));
  return removed + unreported > 0 ? FOUND : NONE;
}

/** What became of records that waited for the collector, as far as that is known soon. */
async function removedFromQueue(stateDir: string, waiting: number): Promise<string> {
  const never = new AbortController().signal;
  for (let waited = 0; waited < PURGED_WITHIN_MS; waited += FOLLOW_POLL_MS) {
    if (!existsSync(purgeRequestPath(stateDir)))
      return `${waiting} of them waited for the collector: those that were not sent yet are removed from the queue\n`;
    await sleep(FOLLOW_POLL_MS, never);
  }
  return `${waiting} of them wait for the collector: the service removes them between two requests or, if it does not run, at its next start, before it sends any\n`;
}

function reportProblems(reader: HistoryReader, log: Log): void {
  for (const problem of reader.problems) log.line(problem);
}

function nothing({ stateDir, filter }: HistoryQuery): string {
  return Object.keys(filter).length === 0
    ? `The history in ${stateDir} has no records yet.`
    : `No record in ${stateDir} matches.`;
}

/** null: it is no terminal. */
function terminalWidth(): number | null {
  return process.stdout.isTTY === true ? process.stdout.columns : null;
}

/** The record as the service prints it, and its delivery. */
function jsonOf({ id, kind, record, delivery }: Entry): object {
  const { at_ns: atNs, ...same } = delivery;
  const at = atNs === undefined ? {} : { at_ns: String(atNs) };
  return { id, kind, ...JSON.parse(renderJson(record)), delivery: { ...same, ...at } };
}

/** Times are strings, in ns since 1970. */
function stringified(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
