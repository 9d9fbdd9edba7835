// SPDX-License-Identifier: Apache-2.0
// The attacks (test/attacks): hostile users, lying backends, stepped clocks and broken files, for real.
import { requirePackages } from '../base/debian.ts';
import { buildCollector } from '../build/collector.ts';
import { buildAttackers, buildLoad, buildReaper } from '../build/programs.ts';
import type { Counts } from './counts.ts';
import { vitest } from './vitest.ts';

/** Builds what the attacks need in addition to loader, service and victims. Returns their environment. */
export async function prepareAttacks(): Promise<NodeJS.ProcessEnv> {
  await requirePackages(['util-linux'], 'Running a program as another user (setpriv, unshare)');
  await buildAttackers();
  await buildReaper();
  await buildLoad();
  return { WHODUNIT_TEST_COLLECTOR: await buildCollector() };
}

/** `paths`: the test files to run; by default all of them. */
export function testAttacks(prepared: NodeJS.ProcessEnv, paths: readonly string[] = ['test/attacks']): Promise<Counts> {
  return vitest(paths, prepared);
}
