// SPDX-License-Identifier: Apache-2.0
// Runs vitest and counts what it reports.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { print, show } from '../base/screen.ts';
import { NODE, ROOT } from '../paths.ts';
import type { Counts } from './counts.ts';

const VITEST = join(ROOT, 'node_modules/vitest/vitest.mjs');

/** The fields of the JSON report that are read. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly { readonly name: string }[];
}

/** Runs the test files at or below each path. A path without tests counts as a failure, so that a moved test is noticed. */
export async function vitest(paths: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Counts> {
  const directory = mkdtempSync(join(tmpdir(), 'whodunit-vitest-'));
  const file = join(directory, 'report.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  try {
    const code = await show(NODE, [VITEST, 'run', ...reporters, ...paths], env);
    const report: Report = JSON.parse(readFileSync(file, 'utf8'));
    const empty = paths.filter((path) => !report.testResults.some(({ name }) => name.startsWith(join(ROOT, path))));
    for (const path of empty) print(`no test ran at ${path}`);
    // A file that cannot be loaded has no failed test: only the exit code shows it.
    const failed = (report.numFailedTests || (code === 0 ? 0 : 1)) + empty.length;
    return { passed: report.numPassedTests, failed, skipped: report.numPendingTests + report.numTodoTests };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    print(`vitest wrote no report for ${paths.join(', ')}`);
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
