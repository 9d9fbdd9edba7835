// SPDX-License-Identifier: Apache-2.0
// Prepares the batch jobs of test/story/jobs/ that need more than Node.js, once, in the cache: a Go program, and a Python environment
// with OpenTelemetry's SDK. Run as a program, it prints the path.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { command } from '../base/command.ts';
import { requirePackages } from '../base/debian.ts';
import { run, step } from '../base/run.ts';
import { ROOT } from '../paths.ts';
import { cached, cacheOf } from './cache.ts';

const JOBS = join(ROOT, 'test/story/jobs');
const RECIPE = ['requirements.txt', 'go/go.mod', 'go/go.sum', 'go/main.go'];

/** Returns the directory with `batch_job` (Go) and `python/bin/python3`. Makes it if it is missing. */
export async function prepareSdkJobs(): Promise<string> {
  const directory = cacheOf('sdk-jobs', ...RECIPE.map((name) => readFileSync(join(JOBS, name))));
  const done = await cached(directory, 'done', async (cache) => {
    await requirePackages(['python3-venv'], 'The batch job in Python');
    const remedy = 'It needs the Go module proxy and PyPI once; see the output above.';
    await step('building the batch job in Go (once)', () =>
      run('go', ['build', '-trimpath', '-o', join(cache, 'batch_job'), '.'], { cwd: join(JOBS, 'go'), remedy }),
    );
    await step('installing the OpenTelemetry SDK for Python (once)', async () => {
      await run('python3', ['-m', 'venv', join(cache, 'python')], { remedy });
      const python = join(cache, 'python/bin/python3');
      const requirements = join(JOBS, 'requirements.txt');
      await run(python, ['-m', 'pip', 'install', '--quiet', '-r', requirements], { remedy });
    });
    writeFileSync(join(cache, 'done'), '');
  });
  return dirname(done);
}

if (import.meta.main)
  await command(async () => {
    console.log(await prepareSdkJobs());
    return 0;
  });
