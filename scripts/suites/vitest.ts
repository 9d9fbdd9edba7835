// SPDX-License-Identifier: Apache-2.0
// Runs vitest and counts what it reports.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { print, show } from '../base/screen.ts';
import { NODE, ROOT } from '../paths.ts';
import type { Counts } from './counts.ts';

const VITEST = join(ROOT, 'node_modules/vitest/vitest.mjs');

/** What is read of its JSON report. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly { readonly name: string }[];
}

/** Runs the test files at or below each path. A path without any is a failure: tests must not vanish unnoticed. */
export async function vitest(paths: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Counts> {
  const directory = mkdtempSync(join(tmpdir(), 'whodunit-vitest-'));
  const file = join(directory, 'report.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  try {
    const code = await show(NODE, [VITEST, 'run', ...reporters, ...paths], env);
    const report: Report = JSON.parse(readFileSync(file, 'utf8'));
    const vanished = paths.filter((path) => !report.testResults.some(({ name }) => name.startsWith(join(ROOT, path))));
    for (const path of vanished) print(`no test ran at ${path}`);
    // A file that cannot even be loaded has no failed test: the exit code knows.
    const failed = (report.numFailedTests || (code === 0 ? 0 : 1)) + vanished.length;
    return { passed: report.numPassedTests, failed, skipped: report.numPendingTests + report.numTodoTests };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    print(`no report was written of ${paths.join(', ')}`);
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
