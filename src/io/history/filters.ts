// SPDX-License-Identifier: Apache-2.0
// `whodunit filters test`: tries the rules of a file on the records of the history, and on the last terminations that have none.
import type { FiltersTest } from '../../config/read.ts';
import { EXIT_SEARCH_FAILED, FatalError } from '../../core/errors.ts';
import type { Entry } from '../../core/history/entry.ts';
import { type Rehearsal, rehearse } from '../../core/history/rehearsal.ts';
import { rehearsalJson, renderRehearsal } from '../../core/history/rehearsal-text.ts';
import { visibleJson } from '../../core/words/visible.ts';
import type { Log } from '../log.ts';
import { print } from '../output.ts';
import { readRules } from '../rules.ts';
import { page } from './pager.ts';
import { type HistoryReader, openHistory } from './reader.ts';
import { unreadable } from './unreadable.ts';
import { readUnreported } from './unreported-file.ts';

/** Returns the exit code, as of diff and grep: 1 if nothing would change. Throws a FatalError if the rules or the history cannot be read. */
export async function testFilters(query: FiltersTest, log: Log): Promise<number> {
  const found = await rehearsalOf(query, log);
  const { records, unreported, gone, come, left } = found;
  if (records + unreported === 0) log.line(`The history in ${query.stateDir} has no terminations yet.`);
  if (query.output === 'json') await print(`${visibleJson(rehearsalJson(found), null, 2)}\n`);
  else await page(renderRehearsal(found), query.pager);
  return gone.length + come.length + left.length > 0 ? 0 : 1;
}

async function rehearsalOf({ rules: source, stateDir }: FiltersTest, log: Log): Promise<Rehearsal> {
  const rules = await rulesOf(source);
  const reader = openHistory(stateDir);
  try {
    const found = rehearse(entriesOf(reader), readUnreported(stateDir), rules);
    for (const problem of reader.problems) log.line(problem);
    return found;
  } catch (error) {
    if (error instanceof FatalError || (error as NodeJS.ErrnoException).code === undefined) throw error;
    throw unreadable(stateDir, error as NodeJS.ErrnoException);
  }
}

function* entriesOf(reader: HistoryReader): Generator<Entry> {
  for (const { entry } of reader.matching({ kind: 'termination' })) yield entry;
}

async function rulesOf(source: FiltersTest['rules']): ReturnType<typeof readRules> {
  try {
    return await readRules(source);
  } catch (error) {
    if (error instanceof FatalError) throw new FatalError(error.code, error.message, EXIT_SEARCH_FAILED);
    throw error;
  }
}
