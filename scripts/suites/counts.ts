// SPDX-License-Identifier: Apache-2.0
// The result of a test runner: how many tests passed, and which ones failed or were skipped.
import { print } from '../base/screen.ts';

export interface Counts {
  readonly passed: number;
  /** One entry for each test: its file (or package) and its name. */
  readonly failed: readonly string[];
  readonly skipped: readonly string[];
}

export const NO_TESTS: Counts = { passed: 0, failed: [], skipped: [] };

/** CI keeps only the end of the output, so the list at the end is short. */
const LISTED_MAX = 20;

export function add(a: Counts, b: Counts): Counts {
  return {
    passed: a.passed + b.passed,
    failed: [...a.failed, ...b.failed],
    skipped: [...a.skipped, ...b.skipped],
  };
}

/** In CI, a skipped test counts as failed: a run that passes has run every test. */
export function inCi({ passed, failed, skipped }: Counts): Counts {
  return { passed, failed: [...failed, ...skipped.map((test) => `${test} (skipped)`)], skipped: [] };
}

/** `N passed, N failed`, and how many were skipped. */
export function inWords({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed.length} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`;
}

/** The failed tests, one in a line, at most LISTED_MAX of them. Empty if no test failed. */
export function listFailed({ failed }: Counts): string[] {
  if (failed.length === 0) return [];
  const more = failed.length - LISTED_MAX;
  const lines = failed.slice(0, LISTED_MAX).map((test) => `  ${test}`);
  return ['failed:', ...lines, ...(more > 0 ? [`  and ${more} more`] : [])];
}

/** Prints the failed tests and the last line of a test command, and returns its exit code. */
export function report(counts: Counts): number {
  for (const line of listFailed(counts)) print(line);
  print(inWords(counts));
  return counts.failed.length === 0 ? 0 : 1;
}
