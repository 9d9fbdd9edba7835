// SPDX-License-Identifier: Apache-2.0
// Starts the reaper and returns its ledger after its exit.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cgroup } from '../../scripts/stack/cgroup.ts';
import { AppendedLines } from '../../scripts/stack/otlp-file.ts';
import { REAPER, startProgram, temporaryDirectory } from '../../scripts/stack/program.ts';
import { readLedger, type TrueDeath } from './ledger.ts';

export interface ReaperOptions {
  /** Terminations a second; undefined: as fast as all processors can. */
  readonly rate?: number;
  /** undefined: until it is stopped. */
  readonly count?: number;
  /** Every n-th process exits with REFUSED_CODE. */
  readonly refusedEvery?: number;
  /** Where the reaper and its processes run; undefined: beside this process. */
  readonly cgroup?: Pick<Cgroup, 'enter'>;
}

export interface Reaper {
  /** The number of terminations so far. */
  readonly deaths: () => number;
  /** Resolves after the last termination. Rejects if the reaper fails, because then there is no truth. */
  readonly ended: Promise<TrueDeath[]>;
  readonly stop: () => Promise<TrueDeath[]>;
}

export function startReaper({ rate, count, refusedEvery, cgroup }: ReaperOptions): Reaper {
  const directory = temporaryDirectory();
  const file = join(directory.path, 'ledger');
  const args = { '--ledger': file, '--rate': rate, '--count': count, '--refused-every': refusedEvery };
  const command = [
    REAPER,
    ...Object.entries(args).flatMap(([flag, value]) => (value === undefined ? [] : [flag, String(value)])),
  ];
  const [first = '', ...rest] = cgroup?.enter(command) ?? command;
  const program = startProgram(first, rest);
  const lines = new AppendedLines(file);
  let read = 0;
  const deaths = () => {
    for (const _ of lines.read()) read += 1;
    return read;
  };
  const ended = program.ended.then(({ code, signal }) => {
    if (code !== 0) throw new Error(`the reaper ended with ${signal ?? `code ${code}`}: ${program.output()}`);
    const ledger = readLedger(readFileSync(file, 'utf8'));
    directory.remove();
    return ledger;
  });
  ended.catch(() => {}); // the caller that awaits it gets the error
  const stop = () => {
    program.child.kill('SIGUSR1'); // after SIGTERM, its own exit would have a record
    return ended;
  };
  return { deaths, ended, stop };
}
