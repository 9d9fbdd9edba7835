// SPDX-License-Identifier: Apache-2.0
// The load of a build host: `npm ci` of this project, `go build` of the loader, and the configure script of libltdl: hundreds of short
// processes, of which many exit with an error. Wall time with whodunit (default settings, a collector as the target) and without, in turn
// (A B B A …).
import { execFileSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Collector, startCollector } from '../../scripts/stack/collector.ts';
import { ROOT, startProgram, temporaryDirectory } from '../../scripts/stack/program.ts';
import { startWhodunit } from '../../scripts/stack/whodunit.ts';
import { type Figure, figure } from '../figures.ts';
import { estimateRatio, median } from '../statistics.ts';
import { exportByDefault, inTurns, type Part } from './part.ts';

const ROUNDS = 8;
const ROUNDS_QUICK = 1;
/** Before the builds of a round, with whodunit and without: hosts build when whodunit has been running for long. */
const REST_MS = 3_000;

/** Of Debian's libltdl-dev and libtool. The script looks for its parts in ../build-aux. */
const LIBTOOL = '/usr/share/libtool';

interface Build {
  readonly id: string;
  readonly title: string;
  /** Runs in a new directory, which has `files`: their names, and where they come from (below ROOT). */
  readonly command: readonly [string, ...string[]];
  /** How often in a round. Its time is the mean: short ones vary more. */
  readonly times: number;
  readonly files: Readonly<Record<string, string>>;
}

/** The first run of each fills the caches: npm's, and Go's with all packages but those that are in the new directory. */
const BUILDS: readonly Build[] = [
  {
    id: 'npm',
    title: 'npm ci',
    command: ['npm', 'ci', '--prefer-offline', '--no-audit', '--no-fund'],
    times: 1,
    files: { 'package.json': 'package.json', 'package-lock.json': 'package-lock.json' },
  },
  {
    id: 'go',
    title: 'go build',
    command: ['go', 'build', '-o', 'whodunit-loader', './loader'],
    times: 3,
    files: { 'go.mod': 'go.mod', 'go.sum': 'go.sum', loader: 'loader' },
  },
  {
    id: 'configure',
    title: 'a configure script',
    command: ['libltdl/configure'],
    times: 8,
    files: { libltdl: LIBTOOL, 'build-aux': `${LIBTOOL}/build-aux` },
  },
];

/** The wall time of each build, ms, in each round. */
type Times = ReadonlyMap<string, number[]>;

export const builds: Part = async ({ quick, progress }) => {
  const rounds = quick ? ROUNDS_QUICK : ROUNDS;
  const without = noTimes();
  const watched = noTimes();
  const cache = temporaryDirectory();
  const collector = await startCollector({ keep: 'count' });
  try {
    progress(0, 'filling caches');
    await buildAll(cache.path, noTimes());
    const unwatched = () => buildAll(cache.path, without);
    const watch = () => buildWatched(cache.path, collector, watched);
    await inTurns([unwatched, watch], rounds, (condition, round) => {
      progress((round + 1) / (rounds + 1), `round ${round + 1} of ${rounds}`);
      return condition();
    });
  } finally {
    await collector.stop();
    cache.remove();
  }
  return { figures: BUILDS.flatMap((build) => figuresOf(build, without, watched)) };
};

function noTimes(): Times {
  return new Map(BUILDS.map(({ id }) => [id, []]));
}

async function buildWatched(goCache: string, collector: Collector, times: Times): Promise<void> {
  const whodunit = await startWhodunit({ ...exportByDefault(collector, 'http/protobuf'), WHODUNIT_REPORT: 'default' });
  try {
    await buildAll(goCache, times);
  } finally {
    await whodunit.stop();
  }
}

async function buildAll(goCache: string, times: Times): Promise<void> {
  await sleep(REST_MS);
  for (const build of BUILDS) {
    let sum = 0;
    for (let time = 0; time < build.times; time += 1) sum += await wallMs(build, goCache);
    times.get(build.id)?.push(sum / build.times);
  }
}

async function wallMs({ title, command: [program, ...args], files }: Build, goCache: string): Promise<number> {
  const directory = temporaryDirectory();
  try {
    for (const [name, from] of Object.entries(files))
      cpSync(resolve(ROOT, from), join(directory.path, name), { recursive: true, dereference: true });
    execFileSync('sync'); // The writes of the build before are no part of this one.
    const env = { ...withoutNpm(process.env), GOCACHE: goCache, CGO_ENABLED: '0' };
    const start = performance.now();
    const running = startProgram(program, args, { cwd: directory.path, env });
    const { code, signal } = await running.ended;
    if (code !== 0) throw new Error(`${title} ended with ${signal ?? `code ${code}`}:\n${running.output()}`);
    return performance.now() - start;
  } finally {
    directory.remove();
  }
}

/** The variables that `npm run` sets are about this project, and must not reach another npm. */
function withoutNpm(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('npm_')));
}

function figuresOf({ id, title }: Build, without: Times, watched: Times): Figure[] {
  const alone = without.get(id) ?? [];
  return [
    figure(`builds.${id}`, `${title}: wall time with / without`, 'ratio', estimateRatio(watched.get(id) ?? [], alone)),
    figure(`builds.${id}.without`, `${title}: without whodunit`, 's', median(alone) / 1000),
  ];
}
