// SPDX-License-Identifier: Apache-2.0
// Opens the history of the service, with what the previous run stored in the queue but could not add to it.
import type { RunSettings } from '../../config/read.ts';
import { withoutCredentials } from '../../core/delivery/target.ts';
import type { Log } from '../log.ts';
import type { Item, Queue } from '../queue/queue.ts';
import { UnreportedFile } from './unreported-file.ts';
import { History } from './writer.ts';

/** Records of the queue that the history may lack after a kill: a batch has fewer. */
const CATCH_UP_MAX = 1_024;

/** null: it is off. Never throws: a history that cannot be used is reported in the log. */
export function startHistory(
  { history: limits, stateDir: directory, logs }: Pick<RunSettings, 'history' | 'stateDir' | 'logs'>,
  queue: Queue | null,
  log: Log,
): History | null {
  if (limits === null) return null;
  const history = new History({
    directory,
    limits,
    endpoint: logs === null ? '' : withoutCredentials(logs.endpoint),
    log,
  });
  const { lastQueueId } = history;
  if (queue !== null && lastQueueId > 0) history.catchUp(queue.after(lastQueueId, CATCH_UP_MAX));
  return history;
}

/** null: the history is off. */
export function startUnreported(
  { history, stateDir: directory, arguments: mode }: Pick<RunSettings, 'history' | 'stateDir' | 'arguments'>,
  log: Log,
): UnreportedFile | null {
  if (history === null) return null;
  return new UnreportedFile({ directory, ageMs: history.ageMs, withArguments: mode !== 'off', log });
}

/** `lastQueueId`: the id of the last record in the queue; 0: there is no queue. */
export function keepRecords(history: History | null, items: readonly Item[], lastQueueId: number): void {
  if (history === null) return;
  const records = items.flatMap(({ uid, origin, record }) => (record === null ? [] : [{ uid, origin, record }]));
  history.append(records, lastQueueId === 0 ? 0 : lastQueueId - records.length + 1);
}
