// SPDX-License-Identifier: Apache-2.0
// The result of a test runner: how many tests passed, failed and were skipped.
import { print } from '../base/screen.ts';

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export const NO_TESTS: Counts = { passed: 0, failed: 0, skipped: 0 };

export function add(a: Counts, b: Counts): Counts {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

/** In CI, a skipped test counts as failed: a run that passes has run every test. */
export function inCi({ passed, failed, skipped }: Counts): Counts {
  return { passed, failed: failed + skipped, skipped: 0 };
}

/** `N passed, N failed`, and how many were skipped. */
export function inWords({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/** Prints the last line of a test command and returns its exit code. */
export function report(counts: Counts): number {
  print(inWords(counts));
  return counts.failed === 0 ? 0 : 1;
}
