// SPDX-License-Identifier: Apache-2.0
// Runs vitest and counts what it reports.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { print, show } from '../base/screen.ts';
import { NODE, ROOT } from '../paths.ts';
import type { Counts } from './counts.ts';

const VITEST = join(ROOT, 'node_modules/vitest/vitest.mjs');

/** The fields of the JSON report that are read. */
export interface VitestReport {
  readonly testResults: readonly TestFile[];
}

interface TestFile {
  /** An absolute path. */
  readonly name: string;
  readonly status: 'passed' | 'failed';
  readonly assertionResults: readonly Test[];
}

interface Test {
  readonly ancestorTitles: readonly string[];
  readonly title: string;
  readonly status: string;
}

/** Runs the test files at or below each path. */
export async function vitest(paths: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Counts> {
  const directory = mkdtempSync(join(tmpdir(), 'whodunit-vitest-'));
  const file = join(directory, 'report.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  try {
    const code = await show(NODE, [VITEST, 'run', ...reporters, ...paths], env);
    return countReport(JSON.parse(readFileSync(file, 'utf8')), code, paths);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    print(`vitest wrote no report for ${paths.join(', ')}`);
    return { passed: 0, failed: [`${paths.join(', ')} (vitest wrote no report)`], skipped: [] };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * Counts each test, and as failures: a file that fails without a failed test (it cannot be loaded), a path without tests (a moved test is
 * noticed), and a failure of vitest that the report does not show.
 */
export function countReport({ testResults }: VitestReport, exitCode: number | null, paths: readonly string[]): Counts {
  const tests = testResults.flatMap(({ name: file, assertionResults }) =>
    assertionResults.map((test) => ({ name: nameOf(file, test), status: test.status })),
  );
  const failedFiles = testResults
    .filter(({ status, assertionResults }) => status === 'failed' && !assertionResults.some(isFailed))
    .map(({ name }) => `${relative(ROOT, name)} (failed outside its tests)`);
  const failed = [...tests.filter(isFailed).map(({ name }) => name), ...failedFiles];
  const empty = paths.filter((path) => !testResults.some(({ name }) => name.startsWith(join(ROOT, path))));
  return {
    passed: tests.filter(({ status }) => status === 'passed').length,
    failed: [
      ...failed,
      ...(failed.length === 0 && exitCode !== 0 ? [`${paths.join(', ')} (vitest ended with ${exitCode})`] : []),
      ...empty.map((path) => `${path} (no test ran)`),
    ],
    skipped: tests.filter(({ status }) => status !== 'passed' && status !== 'failed').map(({ name }) => name),
  };
}

function isFailed({ status }: Pick<Test, 'status'>): boolean {
  return status === 'failed';
}

function nameOf(file: string, { ancestorTitles, title }: Test): string {
  return `${relative(ROOT, file)}: ${[...ancestorTitles, title].filter((part) => part !== '').join(' > ')}`;
}
