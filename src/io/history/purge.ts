// SPDX-License-Identifier: Apache-2.0
// `whodunit purge`: overwrites records in place, while the service runs or not. Their space is free again when the segment goes.
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { EXIT_SEARCH_FAILED, FatalError } from '../../core/errors.ts';
import type { Entry } from '../../core/history/entry.ts';
import type { Filter } from '../../core/history/filter.ts';
import { entryAt, KIND_AT } from '../../core/history/index-entry.ts';
import type { Unreported } from '../../core/history/unreported.ts';
import * as semconv from '../../core/telemetry/semconv.ts';
import { purgeRequestPath, requestPurge } from '../queue/purge-request.ts';
import type { Found, HistoryReader } from './reader.ts';
import { historyDirectory, pathOf } from './segments.ts';
import { eraseUnreported, readUnreported, unreportedPath } from './unreported-file.ts';

/** The service may copy a segment meanwhile: then its records are searched again. */
const ROUNDS_MAX = 5;

export interface Purge {
  readonly filter: Filter;
  /** Whole ids, or their beginnings; empty: any. */
  readonly ids: readonly string[];
  readonly undelivered: boolean;
  readonly dryRun: boolean;
}

export interface Purged {
  readonly removed: number;
  /** They match, but are not delivered yet. */
  readonly kept: number;
  /** Of the removed ones, those that waited for the collector: the service removes them from its queue. */
  readonly waiting: number;
  /** Terminations without a record, of which only the facts for `whodunit filters test` are kept. */
  readonly unreported: number;
}

/** Throws a FatalError if the user may not write the history. */
export function purge(stateDirectory: string, reader: HistoryReader, { filter, ids, ...options }: Purge): Purged {
  const { user, ...same } = filter;
  const purged = { removed: 0, kept: 0, waiting: 0, unreported: 0 };
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const found = [...reader.matching(same)].filter(
      ({ entry }) => concerns(entry, user) && (ids.length === 0 || ids.some((id) => entry.id.startsWith(id))),
    );
    const isWaiting = ({ entry }: Found): boolean => entry.delivery.state === 'waiting';
    const gone = options.undelivered ? found : found.filter((one) => !isWaiting(one));
    purged.kept = found.length - gone.length;
    if (gone.length === 0) break;
    purged.removed += gone.length;
    const waiting = new Map(gone.filter(isWaiting).map((one) => [queueIdOf(one), one.entry.uid]));
    purged.waiting += waiting.size;
    if (options.dryRun) break;
    // The queue first: what the history no longer has cannot be found again.
    if (waiting.size > 0)
      orDenied(purgeRequestPath(stateDirectory), () => requestPurge(stateDirectory, waiting), undefined);
    for (const one of gone) erase(stateDirectory, one);
  }
  const isGone = ({ uid, timeNs, subject }: Unreported): boolean =>
    (same.untilNs === undefined || timeNs < same.untilNs) &&
    (user === undefined || subject.user === user) &&
    (ids.length === 0 || ids.some((id) => uid.startsWith(id)));
  const at = unreportedPath(stateDirectory);
  purged.unreported = options.dryRun
    ? readUnreported(stateDirectory).filter(isGone).length
    : orDenied(at, () => eraseUnreported(stateDirectory, isGone), 0);
  return purged;
}

function queueIdOf({ index, position }: Found): number {
  return index.header.firstQueueId + position;
}

/** Whether the process or its sender was this user's. */
function concerns({ user, resource, attributes }: Entry, wanted: string | undefined): boolean {
  if (wanted === undefined) return true;
  const names = [
    user,
    resource[semconv.PROCESS_USER_ID],
    attributes[semconv.SENDER_USER_NAME],
    attributes[semconv.SENDER_USER_ID],
  ];
  return names.some((name) => name !== undefined && String(name) === wanted);
}

/** The index first: a reader that sees it does not take the rest for damaged. */
function erase(stateDirectory: string, { segment, index, position }: Found): void {
  const { offset, bytes } = index.entry(position);
  const directory = historyDirectory(stateDirectory);
  overwrite(pathOf(directory, segment, 'index'), Buffer.from([0]), entryAt(position) + KIND_AT);
  overwrite(pathOf(directory, segment, 'records'), Buffer.alloc(bytes, ' '), offset);
}

function overwrite(path: string, bytes: Buffer, position: number): void {
  const write = (): void => {
    const fd = openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW);
    try {
      writeSync(fd, bytes, 0, bytes.length, position);
    } finally {
      closeSync(fd);
    }
  };
  orDenied(path, write, undefined);
}

/** `absent`: the service has removed or copied the file. Throws a FatalError if the user may not write it. */
function orDenied<T>(path: string, write: () => T, absent: T): T {
  try {
    return write();
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return absent;
    const message = `${path} cannot be written (${code}): records are removed by root or the user of the service; use sudo.`;
    throw new FatalError('HISTORY_UNREADABLE', message, EXIT_SEARCH_FAILED);
  }
}
