// SPDX-License-Identifier: Apache-2.0
// The same input gives the same bytes in a package: the date of the commit instead of the clock, and modes without the umask.
import { chmodSync, lstatSync, lutimesSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../base/command.ts';
import { run } from '../base/run.ts';

const EXECUTABLE = 0o100;

/** Returns seconds since 1970: SOURCE_DATE_EPOCH, or when the commit was made. */
export async function sourceDate(): Promise<number> {
  const remedy = 'Outside of a clone, set SOURCE_DATE_EPOCH.';
  const text = process.env.SOURCE_DATE_EPOCH || (await run('git', ['log', '-1', '--format=%ct'], { remedy })).trim();
  if (!/^\d{1,10}$/.test(text))
    throw new Failure(`SOURCE_DATE_EPOCH is "${text}"; it must be seconds since 1970. Unset it for the commit's date.`);
  return Number(text);
}

/** Gives the directory and all below it the date, and a mode that depends on nothing but whether its owner may execute it. */
export function settle(directory: string, date: number): void {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  for (const path of [directory, ...names.map((name) => join(directory, name))]) {
    const { mode } = lstatSync(path);
    chmodSync(path, (mode & EXECUTABLE) === 0 ? 0o644 : 0o755);
    lutimesSync(path, date, date);
  }
}
