// SPDX-License-Identifier: Apache-2.0
// What a runner reported: how many tests passed, failed, were skipped.
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

/** In CI a skipped test has failed, so that no green run was one without it. */
export function inCi({ passed, failed, skipped }: Counts): Counts {
  return { passed, failed: failed + skipped, skipped: 0 };
}

/** `N passed, N failed`: the last line of every test command. */
export function inWords({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/** The last line of a test command, and its exit code. */
export function report(counts: Counts): number {
  print(inWords(counts));
  return counts.failed === 0 ? 0 : 1;
}
