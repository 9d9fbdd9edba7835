// SPDX-License-Identifier: Apache-2.0
// The load of a build host: `npm ci` of this project, `go build` of the loader with an empty build cache, and the configure script of libltdl,
// hundreds of short processes of which many exit with an error. Wall time with whodunit (default settings, a collector as the target) and
// without, in turn (A B B A …).
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { type Collector, startCollector } from '../../scripts/stack/collector.ts';
import { ROOT, startProgram, temporaryDirectory } from '../../scripts/stack/program.ts';
import { startWhodunit } from '../../scripts/stack/whodunit.ts';
import { type Figure, figure } from '../figures.ts';
import { estimate, median } from '../statistics.ts';
import { exportByDefault, type Part, settle } from './part.ts';

const ROUNDS = 10;
const ROUNDS_QUICK = 1;

interface Build {
  readonly id: string;
  readonly title: string;
  /** Runs in an empty directory with a copy of `files`. */
  readonly command: readonly [string, ...string[]];
  readonly files: readonly string[];
}

const BUILDS: readonly Build[] = [
  {
    id: 'npm',
    title: 'npm ci',
    // From npm's cache, which the first build fills.
    command: ['npm', 'ci', '--prefer-offline', '--no-audit', '--no-fund'],
    files: ['package.json', 'package-lock.json'],
  },
  { id: 'go', title: 'go build', command: ['go', 'build', './loader'], files: ['go.mod', 'go.sum', 'loader'] },
  { id: 'configure', title: 'a configure script', command: ['/usr/share/libtool/configure'], files: [] },
];

/** The wall time of each build, ms, in each round. */
type Times = ReadonlyMap<string, number[]>;

export const builds: Part = async ({ quick, progress }) => {
  const rounds = quick ? ROUNDS_QUICK : ROUNDS;
  const without = noTimes();
  const watched = noTimes();
  const collector = await startCollector({ keep: 'count' });
  try {
    progress(0, 'filling caches');
    await buildAll(noTimes());
    for (let round = 0; round < rounds; round += 1) {
      progress((round + 1) / (rounds + 1), `round ${round + 1} of ${rounds}`);
      if (round % 2 === 0) await buildAll(without);
      await buildWatched(collector, watched);
      if (round % 2 === 1) await buildAll(without);
    }
  } finally {
    await collector.stop();
  }
  return { figures: BUILDS.flatMap((build) => figuresOf(build, without, watched)) };
};

function noTimes(): Times {
  return new Map(BUILDS.map(({ id }) => [id, []]));
}

async function buildWatched(collector: Collector, times: Times): Promise<void> {
  const whodunit = await startWhodunit({ ...exportByDefault(collector, 'http/protobuf'), WHODUNIT_REPORT: 'default' });
  try {
    await settle();
    await buildAll(times);
  } finally {
    await whodunit.stop();
  }
}

async function buildAll(times: Times): Promise<void> {
  for (const build of BUILDS) times.get(build.id)?.push(await wallMs(build));
}

async function wallMs({ title, command: [program, ...args], files }: Build): Promise<number> {
  const directory = temporaryDirectory();
  try {
    for (const file of files) cpSync(join(ROOT, file), join(directory.path, file), { recursive: true });
    const env = { ...process.env, GOCACHE: join(directory.path, 'go-cache'), CGO_ENABLED: '0' };
    const start = performance.now();
    const running = startProgram(program, args, { cwd: directory.path, env });
    const { code } = await running.ended;
    if (code !== 0) throw new Error(`${title} failed:\n${running.output()}`);
    return performance.now() - start;
  } finally {
    directory.remove();
  }
}

function figuresOf({ id, title }: Build, without: Times, watched: Times): Figure[] {
  const alone = without.get(id) ?? [];
  const ratios = (watched.get(id) ?? []).map((ms, round) => ms / (alone[round] ?? Number.NaN));
  return [
    figure(`builds.${id}`, `${title}: wall time with / without`, 'ratio', estimate(ratios)),
    figure(`builds.${id}.without`, `${title}: without whodunit`, 's', median(alone) / 1000),
  ];
}
