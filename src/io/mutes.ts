// SPDX-License-Identifier: Apache-2.0
// The file of mutes in the state directory, and `whodunit mute`, which writes it. rules-in-effect.ts reads it for the service.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MuteQuery } from '../config/history-flags.ts';
import { EXIT_SEARCH_FAILED, FatalError } from '../core/errors.ts';
import { changed, MUTES_MAX, type Mute, parseMutes } from '../core/filter/mutes.ts';
import { shortTime } from '../core/history/table.ts';
import { visible } from '../core/words/visible.ts';
import { print } from './output.ts';
import { writeForService } from './state-file.ts';

const MS = 1_000_000n;

export function mutesPath(stateDirectory: string): string {
  return join(stateDirectory, 'mutes.json');
}

/** Empty if there is no file. Throws an Error that says what is wrong with it. */
export function readMutes(path: string): readonly Mute[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  const mutes = parseMutes(parsed(text));
  if (mutes === null) throw new Error(`${path} is not a list of mutes: remove it, and mute again`);
  return mutes;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Adds, removes or lists. Returns the exit code: 1 if nothing is muted. Throws a FatalError. */
export async function mute({ stateDir, service, forMs, remove }: MuteQuery): Promise<number> {
  const path = mutesPath(stateDir);
  try {
    const nowMs = Date.now();
    const before = readMutes(path).filter(({ untilMs }) => untilMs > nowMs);
    const added = forMs === null || service === null ? null : { service, untilMs: nowMs + forMs };
    const after = remove && service === null ? [] : service === null ? before : changed(before, service, added, nowMs);
    if (after.length > MUTES_MAX)
      throw new FatalError('USAGE', `At most ${MUTES_MAX} services are muted: --remove some.`, EXIT_SEARCH_FAILED);
    if (added !== null || remove) writeForService(stateDir, path, { mutes: after });
    for (const { service: name, untilMs } of after)
      await print(`${visible(name)} is muted until ${shortTime(BigInt(Math.round(untilMs)) * MS)}\n`);
    if (after.length === 0) await print('nothing is muted\n');
    return added !== null || remove || after.length > 0 ? 0 : 1;
  } catch (error) {
    if (error instanceof FatalError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const remedy =
      code === 'EACCES' || code === 'EPERM' ? 'mutes are set by root or the user of the service; use sudo' : message;
    throw new FatalError('HISTORY_UNREADABLE', `${path} cannot be used: ${remedy}.`, EXIT_SEARCH_FAILED);
  }
}
