// SPDX-License-Identifier: Apache-2.0
// The screenshots of README and documentation, into build/screenshots. Someone who changed the page looks at them, and copies them:
// WHODUNIT_TEST_SCREENSHOTS=docs/images.
import { mkdirSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { ROOT, temporaryDirectory } from '../../scripts/stack/program.ts';
import { launch, leave, type Served, serve, type VisitOptions, visit } from './browser.ts';
import { story } from './story.ts';
import { writeHistory } from './write.ts';

const TO = join(ROOT, process.env.WHODUNIT_TEST_SCREENSHOTS ?? 'build/screenshots');
const BYTES_MAX = 200_000;

/** What a healthy service answers. */
const export_ = {
  target: { protocol: 'grpc', endpoint: 'http://127.0.0.1:4317' },
  last_success: null,
  last_error: null,
};
const STATUS = {
  ready: true,
  reason: null,
  deaths: {
    received: 45,
    reported: 45,
    filtered: 0,
    aggregated: 0,
    pending: 0,
    lost: { kernel: 0, loader: 0, queue: 0, export: 0 },
  },
  loader: { version: '0.1.0', kernel: '6.18.44' },
  ring: { facts_lost: 0 },
  queue: null,
  export: { logs: export_, metrics: export_, traces: export_ },
};

const directory = temporaryDirectory();
let service: Server;
let served: Served;
let browser: Browser;
beforeAll(async () => {
  mkdirSync(TO, { recursive: true });
  writeHistory(directory.path, story());
  service = createServer((_, response) => response.end(JSON.stringify(STATUS)));
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
  served = await serve(directory.path, `127.0.0.1:${(service.address() as AddressInfo).port}`);
  browser = await launch();
});
afterEach(() => leave(browser));
afterAll(async () => {
  await browser?.close();
  await served?.stop();
  service?.close();
  directory.remove();
});

it.each<[name: string, options: VisitOptions, report: string | null]>([
  ['ui', {}, null],
  ['ui-report', { dark: true, height: 800 }, 'service=checkout'],
  ['ui-phone', { dark: true, width: 390, height: 844 }, 'service=postgres'],
])('%s', async (name, options, report) => {
  const { page, faults } = await visit(browser, served, options);
  await page.getByText('No termination was lost.').waitFor();
  if (report !== null) {
    await page.goto(`${page.url().split('?')[0]}?${report}`);
    await page.locator('.list a').first().click();
    await page.locator('.detail').waitFor();
  }
  await page.locator('.plot canvas').waitFor();
  const path = join(TO, `${name}.png`);
  await page.screenshot({ path });
  expect(statSync(path).size).toBeLessThan(BYTES_MAX);
  expect(faults).toEqual([]);
});
