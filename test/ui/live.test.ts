// SPDX-License-Identifier: Apache-2.0
// A real process dies, and an open page shows it: from the kernel through loader, service and history.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startWhodunit, type Whodunit } from '../../scripts/stack/whodunit.ts';
import { launch, leave, type Served, serve, visit } from './browser.ts';

/** One of them is enough: the machine may be busy during the others. */
const DEATHS = 30;
const LIVE_WITHIN_MS = 1_000;
/** The page shows what is new at most twice in a second: the next one comes when it would show it at once. */
const PAUSE_MS = 1_000;

let whodunit: Whodunit;
let served: Served;
let browser: Browser;
beforeAll(async () => {
  whodunit = await startWhodunit({});
  served = await serve(join(whodunit.at.directory.path, 'state'), whodunit.at.health);
  browser = await launch();
});
afterEach(() => leave(browser));
afterAll(async () => {
  await browser?.close();
  await served?.stop();
  await whodunit?.stop();
});

describe('an open page', () => {
  it('shows a real death within a second', async () => {
    const { page, faults } = await visit(browser, served);
    const delays: number[] = [];
    while (delays.length < DEATHS && !delays.some((delay) => delay <= LIVE_WITHIN_MS)) {
      await setTimeout(PAUSE_MS);
      delays.push(await shownAfter(page));
    }
    expect(Math.min(...delays)).toBeLessThanOrEqual(LIVE_WITHIN_MS);
    expect(faults).toEqual([]);
  });

  it('shows the health of the watcher, and that nothing was lost', async () => {
    const { page, faults } = await visit(browser, served);
    await page.getByText('No termination was lost.').waitFor();
    await page.getByText(/^Watching, loader/).waitFor();
    expect(faults).toEqual([]);
  });

  it('says what to do when the service ends', async () => {
    const { page } = await visit(browser, served);
    await whodunit.service.stop();
    await page.getByText('The service does not answer').waitFor();
    expect(await page.locator('#health').textContent()).toContain('npm start');
  });
});

/** Kills a process. Returns how long after its end the page had its row, ms. */
async function shownAfter(page: Page): Promise<number> {
  const victim: ChildProcess = spawn('sleep', ['100'], { stdio: 'ignore' });
  await once(victim, 'spawn');
  const ended = once(victim, 'exit').then(() => performance.now());
  victim.kill('SIGKILL');
  const from = await ended;
  await page
    .locator('.list .process .muted', { hasText: new RegExp(`^${victim.pid}$`) })
    .first()
    .waitFor();
  return performance.now() - from;
}
