// SPDX-License-Identifier: Apache-2.0
// `npm run check`: all static checks, in all three languages. `npm run format` (`--fix`) formats instead. Runs every check, and exits
// with 1 if any failed.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { command, Failure } from '../base/command.ts';
import { run, step } from '../base/run.ts';
import { Capture, progress, withCapture } from '../base/screen.ts';
import { CLANG_FORMAT } from '../build/clang.ts';
import { checkHeaders } from '../checks/headers.ts';
import { checkPage } from '../checks/page.ts';
import { checkSizes } from '../checks/sizes.ts';
import { NODE, ROOT } from '../paths.ts';

const STATICCHECK = 'honnef.co/go/tools/cmd/staticcheck@v0.8.2';
const C_DIRECTORIES = ['bpf', 'bench/load'];
const GO_DIRECTORIES = ['loader', 'examples', 'test', 'bench'];
/** How many checks run in parallel. */
const CHECKS_AT_A_TIME = 2;

interface Check {
  readonly label: string;
  readonly work: () => Promise<unknown>;
}

const bin = (name: string): string => join(ROOT, 'node_modules/.bin', name);

/** Runs a tool of node_modules/.bin. */
const tool = (label: string, name: string, ...args: string[]): Check => ({ label, work: () => run(bin(name), args) });
/** Verifies that the committed output of a generator is up to date. */
const fresh = (label: string, script: string): Check => ({ label, work: () => run(NODE, [script, '--check']) });

function biome(fix: boolean): Check {
  const args = [...(fix ? ['check', '--write'] : ['ci']), '--colors=off', '.'];
  const work = () => run(bin('biome'), args, { remedy: '`npm run format` may fix it.' });
  return { label: 'TypeScript, JavaScript, JSON: format and lint (biome)', work };
}

function gofmt(fix: boolean): Check {
  const work = async () => {
    const listed = (await run('gofmt', [fix ? '-w' : '-l', ...GO_DIRECTORIES])).trim();
    if (!fix && listed !== '') throw new Failure('Not formatted: run `npm run format`.', listed);
  };
  return { label: 'Go: format (gofmt)', work };
}

function clangFormat(fix: boolean): Check {
  const sources = C_DIRECTORIES.flatMap((directory) =>
    readdirSync(join(ROOT, directory))
      .filter((name) => /\.[ch]$/.test(name))
      .map((name) => join(directory, name)),
  );
  const work = async () => {
    const missing = spawnSync(CLANG_FORMAT, ['--version']).error !== undefined;
    if (missing && process.env.CI !== 'true') return progress(`SKIPPED, ${CLANG_FORMAT} is not installed … `);
    const mode = fix ? ['-i'] : ['--dry-run', '--Werror'];
    return run(CLANG_FORMAT, [...mode, ...sources], { remedy: 'Run `npm run format`.' });
  };
  return { label: 'C: format (clang-format)', work };
}

/** In order: the first check installs compiler and clang-format in CI. */
const C_CHECKS: readonly Check[] = [
  fresh('C: the files generated from bpf/ are up to date', 'scripts/generate/bpf.ts'),
  { label: 'C: each header compiles alone', work: checkHeaders },
  clangFormat(false),
];

/** Slowest first. */
const CHECKS: readonly Check[] = [
  { label: 'Go: staticcheck', work: () => run('go', ['run', STATICCHECK, './...']) },
  { label: 'Go: vet', work: () => run('go', ['vet', './...']) },
  biome(false),
  tool('TypeScript: types of the service (tsc)', 'tsc', '--noEmit', '-p', 'tsconfig.json'),
  tool('TypeScript: types of tests, benchmark and scripts (tsc)', 'tsc', '--noEmit', '-p', 'test/tsconfig.json'),
  tool('TypeScript: types of the page (tsc)', 'tsc', '--noEmit', '-p', 'src/ui/tsconfig.json'),
  tool('TypeScript: types of its tests (tsc)', 'tsc', '--noEmit', '-p', 'test/ui/tsconfig.json'),
  gofmt(false),
  { label: 'Go, C: sizes of functions and files', work: checkSizes },
  { label: 'the size of the page', work: checkPage },
  fresh('docs/telemetry.md and semconv.ts are up to date', 'scripts/generate/telemetry.ts'),
  fresh('docs/exit-codes.md is up to date', 'scripts/generate/exit-codes.ts'),
  fresh('docs/configuration.md is up to date', 'scripts/generate/configuration.ts'),
];

const problems: string[] = [];

/** Runs a check, then shows its progress line and its findings. */
async function runCheck({ label, work }: Check): Promise<void> {
  const capture = new Capture();
  await withCapture(capture, () =>
    step(label, work).catch((error: unknown) => {
      if (!(error instanceof Failure)) throw error;
      progress(`${error.output.trimEnd()}\n${error.message}\n`);
      problems.push(label);
    }),
  );
  progress(capture.text);
}

async function runInOrder(checks: readonly Check[]): Promise<void> {
  for (const check of checks) await runCheck(check);
}

/** Runs CHECKS_AT_A_TIME lists in parallel, and the checks of one list in order. */
async function runAll(lists: readonly (readonly Check[])[]): Promise<void> {
  const waiting = [...lists];
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await runInOrder(next);
  };
  await Promise.all(Array.from({ length: CHECKS_AT_A_TIME }, worker));
}

await command(async () => {
  if (process.argv.includes('--fix')) await runInOrder([biome(true), gofmt(true), clangFormat(true)]);
  else await runAll([C_CHECKS, ...CHECKS.map((check) => [check])]);
  if (problems.length > 0) throw new Failure(`${problems.length} checks failed: ${problems.join('; ')}.`);
  console.error('all checks passed');
  return 0;
});
