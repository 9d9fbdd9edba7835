// `npm run check`: everything that can be said about the code without running it, in all three languages.
// `npm run format` (`--fix`) formats instead. Ends with 1 if any check fails, after having run them all.
//
// SPDX-License-Identifier: Apache-2.0

import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { checkHeaders } from './check-headers.mjs';
import { command, Failure, install, NODE, ROOT, run, step } from './steps.mjs';

const STATICCHECK = 'honnef.co/go/tools/cmd/staticcheck@v0.8.2';
const CLANG_FORMAT = 'clang-format-19';
const C_DIRECTORIES = ['bpf', 'bench/load'];
const GO_DIRECTORIES = ['loader', 'examples', 'test', 'bench'];
const bin = (name) => join(ROOT, 'node_modules/.bin', name);

const fix = process.argv.includes('--fix');
const problems = [];

async function check(label, work) {
  try {
    await step(label, work);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    console.error(error.output.trimEnd());
    console.error(error.message);
    problems.push(label);
  }
}

async function gofmt() {
  const listed = (await run('gofmt', fix ? ['-w', ...GO_DIRECTORIES] : ['-l', ...GO_DIRECTORIES])).trim();
  if (!fix && listed !== '') throw new Failure('Not formatted: `npm run format` does it.', listed);
}

/** The C sources. In CI clang-format must be there, and is installed by now: generate.mjs brings it with the compiler. */
async function clangFormat() {
  const sources = C_DIRECTORIES.flatMap((directory) =>
    readdirSync(join(ROOT, directory))
      .filter((name) => /\.[ch]$/.test(name))
      .map((name) => join(directory, name)),
  );
  const missing = spawnSync(CLANG_FORMAT, ['--version']).error !== undefined;
  if (missing && process.env.CI !== 'true') {
    process.stderr.write(`SKIPPED, ${CLANG_FORMAT} is not installed … `);
    return;
  }
  const mode = fix ? ['-i'] : ['--dry-run', '--Werror'];
  await run(CLANG_FORMAT, [...mode, ...sources], {
    remedy: '`npm run format` does it.',
  });
}

await command(async () => {
  await install();
  await check('TypeScript, JavaScript, JSON: format and lint (biome)', () =>
    run(bin('biome'), [...(fix ? ['check', '--write'] : ['ci']), '--colors=off', '.'], {
      remedy: '`npm run format` may do it.',
    }),
  );
  await check('Go: format (gofmt)', gofmt);
  if (fix) {
    await check('C: format (clang-format)', clangFormat);
    return problems.length === 0 ? 0 : 1;
  }
  await check('TypeScript: types of the service (tsc)', () => run(bin('tsc'), ['--noEmit', '-p', 'tsconfig.json']));
  await check('TypeScript: types of the tests (tsc)', () => run(bin('tsc'), ['--noEmit', '-p', 'test/tsconfig.json']));
  await check('Go: vet', () => run('go', ['vet', './...']));
  await check('Go: staticcheck', () => run('go', ['run', STATICCHECK, './...']));
  await check('the telemetry pages are what the registry gives', () =>
    run(NODE, ['scripts/generate-telemetry.mjs', '--check']),
  );
  await check('the page of exit codes is what their tables give', () =>
    run(NODE, ['scripts/generate-exit-codes.mjs', '--check']),
  );
  await check('the page of the configuration is what its tables give', () =>
    run(NODE, ['scripts/generate-configuration.mjs', '--check']),
  );
  await check('C: the generated files are what bpf/ gives', () => run(NODE, ['scripts/generate.mjs', '--check']));
  await check('C: each header compiles alone', checkHeaders);
  await check('C: format (clang-format)', clangFormat);

  if (problems.length > 0) throw new Failure(`${problems.length} checks failed: ${problems.join('; ')}.`);
  console.error('all checks passed');
  return 0;
});
