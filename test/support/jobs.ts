// SPDX-License-Identifier: Apache-2.0
// The commands of the batch jobs with real OpenTelemetry SDKs (test/story/jobs/): each joins the trace of TRACEPARENT, sends one span,
// prints its pid and crashes. `npm test` builds them (scripts/build/sdk-jobs.ts).
import { realpathSync } from 'node:fs';
import { basename, join } from 'node:path';
import { NODE, ROOT } from '../../scripts/stack/program.ts';

const PREPARED = process.env.WHODUNIT_TEST_JOBS;
if (PREPARED === undefined)
  throw new Error(
    'WHODUNIT_TEST_JOBS is not set: `WHODUNIT_TEST_JOBS=$(node_modules/.bin/node scripts/build/sdk-jobs.ts)`',
  );
const PYTHON = join(PREPARED, 'python/bin/python3');

export interface Job {
  /** telemetry.sdk.language. */
  readonly language: string;
  readonly command: readonly string[];
  readonly executable: string;
  /** null: a signal terminates it. Go exits with 2 after a panic; the others abort. */
  readonly exitCode: number | null;
}

export const JOB_SPAN = 'nightly batch';
const ABORTED = null;

export const NODE_JOB: Job = {
  language: 'nodejs',
  command: [NODE, join(ROOT, 'test/story/jobs/batch_job.mjs')],
  executable: 'node',
  exitCode: ABORTED,
};
export const PYTHON_JOB: Job = {
  language: 'python',
  command: [PYTHON, join(ROOT, 'test/story/jobs/batch_job.py')],
  executable: basename(realpathSync(PYTHON)),
  exitCode: ABORTED,
};
export const GO_JOB: Job = {
  language: 'go',
  command: [join(PREPARED, 'batch_job')],
  executable: 'batch_job',
  exitCode: 2,
};
export const JOBS: readonly Job[] = [NODE_JOB, PYTHON_JOB, GO_JOB];
