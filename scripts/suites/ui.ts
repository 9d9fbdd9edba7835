// SPDX-License-Identifier: Apache-2.0
// The page of `whodunit ui` in a real browser (test/ui).
import { requirePackages } from '../base/debian.ts';
import type { Counts } from './counts.ts';
import { vitest } from './vitest.ts';

export async function prepareUi(): Promise<void> {
  await requirePackages(['chromium', 'fonts-dejavu-core'], 'Showing the page of `whodunit ui` in a browser');
}

/** Requires that loader and service are built. */
export function testUi(): Promise<Counts> {
  return vitest(['test/ui']);
}
