// Runs vitest and counts what it reports.
//
// SPDX-License-Identifier: Apache-2.0

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NODE, ROOT } from './steps.mjs';

const VITEST = join(ROOT, 'node_modules/vitest/vitest.mjs');

/**
 * Runs the test files at or below each path, with the output on the screen; gives how many tests passed, failed, were skipped. A
 * path without any is a failure: tests must not vanish unnoticed.
 */
export async function vitest(paths, env = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'whodunit-vitest-'));
  const file = join(directory, 'report.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  try {
    const code = await show(NODE, [VITEST, 'run', ...reporters, ...paths], env);
    const report = JSON.parse(readFileSync(file, 'utf8'));
    const vanished = paths.filter((path) => !report.testResults.some(({ name }) => name.startsWith(join(ROOT, path))));
    for (const path of vanished) console.log(`no test ran at ${path}`);
    // A file that cannot even be loaded has no failed test: the exit code knows.
    const failed = (report.numFailedTests || (code === 0 ? 0 : 1)) + vanished.length;
    return { passed: report.numPassedTests, failed, skipped: report.numPendingTests + report.numTodoTests };
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    console.log(`no report was written of ${paths.join(', ')}`);
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function show(program, args, env) {
  const child = spawn(program, args, {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
}
