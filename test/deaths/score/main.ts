// SPDX-License-Identifier: Apache-2.0
// The score as a program: runs the cases, prints tables and totals, writes docs/deaths.md. scripts/commands/deaths.ts builds everything,
// parses the command line and passes it as one JSON argument. Exits with code 1 if anything is wrong.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { forked } from '../../../scripts/stack/forked.ts';
import { ROOT } from '../../../scripts/stack/program.ts';
import type { Case } from '../cases/case.ts';
import { cases as allCases } from '../cases/index.ts';
import { type Machine, page } from './page.ts';
import { peers as allPeers } from './peers/index.ts';
import { type Run, run } from './run.ts';
import { summary, table } from './table.ts';
import { allRight } from './tally.ts';

interface Flags {
  readonly runs: number;
  readonly storm: boolean;
  readonly compare: boolean;
  readonly write: boolean;
  readonly only: readonly string[] | null;
}

const PAGE = join(ROOT, 'docs/deaths.md');

const flags: Flags = JSON.parse(process.argv[2] ?? '');
const cases = chosen(flags.only);
const peers = flags.compare ? allPeers : [];
const names = peers.map(({ name }) => name);

let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    interrupted = true;
  });

let right = 0;
let last: Run | undefined;
for (let number = 1; number <= flags.runs && !interrupted; number += 1) {
  console.error(`run ${number} of ${flags.runs}${flags.storm ? ', during a fork storm' : ''}`);
  const before = forked();
  last = await run({ cases, peers, storm: flags.storm, keepGoing });
  progress('');
  if (flags.storm) console.error(`${forked() - before} forks on this machine during the run`);
  console.log(`${table(last, names)}\n\n${summary(last, names)}\n`);
  if (allRight(last)) right += 1;
}
if (interrupted) {
  console.error('interrupted: the results so far are above');
} else {
  if (flags.runs > 1) console.log(`${right} of ${flags.runs} runs had no errors`);
  if (flags.write && last !== undefined) {
    writeFileSync(PAGE, page(last, peers, machine()));
    console.log(`wrote ${PAGE}`);
  }
}
process.exitCode = right === flags.runs && !interrupted ? 0 : 1;

function chosen(only: Flags['only']): readonly Case[] {
  const here = allCases.filter(({ arch }) => arch === undefined || arch === process.arch);
  if (only === null) return here;
  const unknown = only.find((name) => !here.some(({ id }) => id === name));
  if (unknown === undefined) return here.filter(({ id }) => only.includes(id));
  console.error(`unknown case ${unknown}; the cases are ${here.map(({ id }) => id).join(', ')}`);
  process.exit(1);
}

function keepGoing({ id }: Case, index: number): boolean {
  progress(`${index + 1} of ${cases.length}: ${id}`);
  return !interrupted;
}

/** Overwrites one line on a terminal; prints one line per call elsewhere. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  else if (text !== '') console.error(text);
}

function machine(): Machine {
  const distribution = /^PRETTY_NAME="?(.*?)"?$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'Linux';
  const packages = [...new Set(peers.map((peer) => peer.package))];
  const { stdout } = spawnSync('dpkg-query', ['--show', ...packages], { encoding: 'utf8' });
  const versions = new Map(stdout.split('\n').map((line) => line.split('\t') as [string, string]));
  const kernel = /^[\d.]+/.exec(release())?.[0] ?? release();
  return { kernel, distribution, versions };
}
