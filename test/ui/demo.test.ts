// SPDX-License-Identifier: Apache-2.0
// `npm run demo -- --ui`: the page has the six deaths and the story, and Ctrl-C ends it.
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Program, until } from '../../scripts/stack/program.ts';
import { startScript } from '../support/front-door.ts';
import { LINK, launch, rows, visitLink, WITHIN_MS } from './browser.ts';

/** It builds first. */
const DEMO_WITHIN_MS = 240_000;
/** Six deaths; five crashes, three workers, and a job with its timeout. */
const DEATHS_MIN = 15;

let browser: Browser;
let demo: Program;
beforeAll(async () => {
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await demo?.stop();
});

it('shows what died, until it is interrupted', async () => {
  demo = startScript('demo', ['--ui']);
  const diagnostics = () => demo.output();
  await until('the end of the story', DEMO_WITHIN_MS, () => ended(demo) || undefined, diagnostics);
  expect(demo.output()).toContain('All 6 reports were right');
  const link = demo.stdout().match(LINK)?.[0] ?? '';
  const { page, faults } = await visitLink(browser, link);
  await until('the records', WITHIN_MS, async () => (await rows(page)) >= DEATHS_MIN || undefined, diagnostics);
  expect(faults).toEqual([]);
  demo.child.kill('SIGINT');
  expect(await demo.ended, demo.output()).toEqual({ code: 0, signal: null });
});

function ended({ alive, stdout, output }: Program): boolean {
  if (!alive()) throw new Error(`it ended:\n${output()}`);
  return stdout().includes('The page stays until Ctrl-C.');
}
