// SPDX-License-Identifier: Apache-2.0
// Crashes a program as a user of its own, so that no crash repeats another one, and reads its record.
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Cgroup } from '../../scripts/stack/cgroup.ts';
import { isTermination, type LogRecord } from '../../scripts/stack/otlp-file.ts';
import { startProgram, until } from '../../scripts/stack/program.ts';
import type { Watched } from '../support/watched.ts';
import type { Case } from './case.ts';
import { functionAt } from './symbols.ts';

const REPORTED_WITHIN_MS = 60_000;
/** The first user of a crash. None owns anything on any machine. */
const FIRST_USER = 60_000;

/** A line of `exception.stacktrace`. */
export interface Line {
  /** As the record has it: `leaf+0x1f (chain)`. */
  readonly label: string;
  /** The function; of a stripped program, as its symbols have it. Empty: not known. */
  readonly name: string;
  readonly guess: boolean;
}

/** A name of `whodunit.crash.frames`, and what binutils finds at the address. */
export interface Name {
  readonly name: string;
  readonly truth: string;
}

export interface Crashed {
  readonly record: LogRecord;
  readonly lines: readonly Line[];
  readonly names: readonly Name[];
  /** Functions of the program's own file, without guesses. */
  readonly own: readonly string[];
  readonly ending: NodeJS.Signals | number | null;
}

let users = 0;

/** Runs the program in the cgroup that is watched, and waits for the record of the process that crashed. */
export async function crash(one: Case, { collector, whodunit }: Watched, cgroup: Cgroup): Promise<Crashed> {
  const directory = mkdtempSync(join(tmpdir(), 'whodunit-crash-'));
  chmodSync(directory, 0o777);
  const [program, ...args] = one.command;
  const path = one.copied ? join(directory, basename(program)) : program;
  if (one.copied) copyFileSync(program, path);
  const user = FIRST_USER + users++;
  const asUser = ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups', '--inh-caps=-all', '--'];
  const [start = '', ...rest] = cgroup.enter([...asUser, path, ...args]);
  const env = { PATH: process.env.PATH, HOME: directory, OTEL_SERVICE_NAME: serviceOf(user), ...one.env };
  const victim = startProgram(start, rest, { cwd: directory, env });
  try {
    const { code, signal } = await victim.ended;
    const record = await until(
      `the record of ${one.command.join(' ')}`,
      REPORTED_WITHIN_MS,
      () => collector.logs().find((record) => isTermination(record) && isOf(record, one, victim.pid, user)),
      () => `${victim.output()}\n${whodunit.loader.output()}${whodunit.service.output()}`,
    );
    const names = namesOf(record, program, path);
    const own = names.map(({ truth }) => truth);
    return { record, lines: linesOf(record, program, path), names: names.filter(hasName), own, ending: signal ?? code };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Process ids are reused while thousands of programs crash. */
const serviceOf = (user: number) => `crash-${user}`;

function isOf({ resource }: LogRecord, { child }: Case, pid: number, user: number): boolean {
  if (resource['service.name'] !== serviceOf(user)) return false;
  return resource[child === undefined ? 'process.pid' : 'process.parent_pid'] === pid;
}

const LINE = /^#\d+ (.*?)(?: \[guess: .*\])?$/;
const OUTERMOST = '_start';

/** `program`: the file whose symbols are known; `path`: where it was executed. */
function linesOf({ attributes }: LogRecord, program: string, path: string): Line[] {
  const labels = String(attributes['exception.stacktrace'] ?? '')
    .split('\n')
    .flatMap((line) => (LINE.test(line) ? [line] : []));
  let exact = true;
  return labels.map((line) => {
    const [, label = ''] = LINE.exec(line) ?? [];
    const [, file = '', address = ''] = /^(\S+)\+(0x[0-9a-f]+)$/.exec(label) ?? [];
    const own = file === basename(path) ? functionAt(program, BigInt(address) - (exact ? 0n : 1n)) : undefined;
    const name = own ?? label.replace(/ \([^()]*\)$/, '').replace(/\+0x[0-9a-f]+$/, '');
    exact = name === '<signal handler called>';
    return { label, name, guess: line.includes(' [guess: ') };
  });
}

const hasName = ({ name }: Name): boolean => name !== '';

function namesOf({ attributes }: LogRecord, program: string, path: string): Name[] {
  const structured = (attributes['whodunit.crash.frames'] ?? []) as readonly string[];
  return structured.flatMap((text) => {
    const { function: name = '', module, address, guess = false, found_by } = JSON.parse(text);
    if (module !== path || guess || address === undefined) return [];
    const exact = ['pc', 'signal frame'].includes(found_by);
    const truth = functionAt(program, BigInt(address) - (exact ? 0n : 1n));
    return truth === undefined || truth === OUTERMOST ? [] : [{ name, truth }];
  });
}
