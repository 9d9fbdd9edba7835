// SPDX-License-Identifier: Apache-2.0
// The crashes (test/crashes): real programs that crash under the real loader, and the functions and the reason that the record must have.
import { requirePackages } from '../base/debian.ts';
import { buildCollector } from '../build/collector.ts';
import { buildCrashVictims } from '../build/crash-victims.ts';
import type { Counts } from './counts.ts';
import { vitest } from './vitest.ts';

/** How often `npm test` crashes each program. */
export const TIMES_IN_TESTS = 2;

/** Builds what the crashes need in addition to loader and service. Returns their environment. */
export async function prepareCrashes(): Promise<NodeJS.ProcessEnv> {
  await requirePackages(['util-linux'], 'Running a program as another user (setpriv)');
  await buildCrashVictims();
  return { WHODUNIT_TEST_COLLECTOR: await buildCollector() };
}

/** WHODUNIT_STACK: when the stacks are copied on this kernel, as from 6.16 on and as before. test/kernels has the older kernels themselves. */
export const COPIED = { exit: '1', delivery: 'delivery' } as const;

export interface Selection {
  readonly copied: keyof typeof COPIED;
  /** How often each program crashes. */
  readonly times: number;
  /** Part of the names of the cases; empty: all. */
  readonly only: string;
}

export function testCrashes(prepared: NodeJS.ProcessEnv, { copied, times, only }: Selection): Promise<Counts> {
  return vitest(['test/crashes'], {
    ...prepared,
    WHODUNIT_TEST_CRASHES_STACK: COPIED[copied],
    WHODUNIT_TEST_CRASHES_TIMES: String(times),
    WHODUNIT_TEST_CRASHES_ONLY: only,
  });
}
