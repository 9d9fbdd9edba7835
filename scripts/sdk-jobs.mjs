// Prepares the batch jobs of test/story/jobs/ that need more than Node.js, once, into a cache outside the repository: a Go program,
// and a Python with OpenTelemetry's SDK. The directory's name has the hash of what they are made of in it.
//
// SPDX-License-Identifier: Apache-2.0

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheOf, emptyCache } from './cache.mjs';
import { requirePackages } from './packages.mjs';
import { command, ROOT, run, step } from './steps.mjs';

const JOBS = join(ROOT, 'test/story/jobs');
const MADE_OF = ['requirements.txt', 'go/go.mod', 'go/go.sum', 'go/main.go'];

/** The directory with `batch_job` (Go) and `python/bin/python3`, made when it is missing. */
export async function sdkJobs() {
  const cache = cacheOf('sdk-jobs', ...MADE_OF.map((name) => readFileSync(join(JOBS, name))));
  const done = join(cache, 'done');
  if (existsSync(done)) return cache;

  emptyCache(cache);
  await requirePackages(['python3-venv'], 'The batch job in Python');
  const remedy = 'It needs the Go module proxy and PyPI once; the output above says what was missing.';
  await step('building the batch job in Go (once)', () =>
    run('go', ['build', '-trimpath', '-o', join(cache, 'batch_job'), '.'], { cwd: join(JOBS, 'go'), remedy }),
  );
  await step('installing the OpenTelemetry SDK for Python (once)', async () => {
    await run('python3', ['-m', 'venv', join(cache, 'python')], { remedy });
    const requirements = join(JOBS, 'requirements.txt');
    await run(join(cache, 'python/bin/python3'), ['-m', 'pip', 'install', '--quiet', '-r', requirements], { remedy });
  });
  writeFileSync(done, '');
  return cache;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await command(async () => console.log(await sdkJobs()));
}
