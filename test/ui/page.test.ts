// SPDX-License-Identifier: Apache-2.0
// The page of `whodunit ui` in a browser: what it shows of none, some and many records, how it is used, and that names stay names.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { temporaryDirectory, until } from '../../scripts/stack/program.ts';
import { seriousFaults } from './accessible.ts';
import { launch, leave, rows, type Served, serve, shown, type Visit, visit, WITHIN_MS } from './browser.ts';
import { HOSTILE, hostileRecords, INCIDENT, many, story } from './story.ts';
import { writeHistory } from './write.ts';

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterEach(() => leave(browser));
afterAll(() => browser?.close());

/** Serves a history with these records, and stops with the test file. */
function served(write: (stateDirectory: string) => void): () => Served {
  const directory = temporaryDirectory();
  let running: Served;
  beforeAll(async () => {
    write(directory.path);
    running = await serve(directory.path);
  });
  afterAll(async () => {
    await running?.stop();
    directory.remove();
  });
  return () => running;
}

const text = async (page: Page, selector: string): Promise<string> =>
  (await page.locator(selector).first().textContent()) ?? '';

describe('without records', () => {
  const empty = served((directory) => mkdirSync(join(directory, 'history')));

  it('says how to see one', async () => {
    const { page, faults } = await visit(browser, empty());
    expect(await text(page, '.empty')).toContain('kill -9');
    expect(await text(page, '#health')).toContain('WHODUNIT_HEALTH_ADDR');
    expect(await seriousFaults(page)).toEqual([]);
    expect(faults).toEqual([]);
  });

  it('says that the filters match none, and clears them', async () => {
    const { page, faults } = await visit(browser, empty());
    await page.goto(`${page.url().split('?')[0]}?service=nothing`);
    await page.getByRole('button', { name: 'Clear the filters' }).click();
    await page.waitForURL((url) => !url.search.includes('service'));
    expect(faults).toEqual([]);
  });
});

describe('without a history', () => {
  const missing = served(() => {});

  it('says what to do, and shows the records once there are some', async () => {
    const { page } = await visit(browser, missing());
    expect(await text(page, '[role=alert]')).toMatch(/There is no history .* start the service/);
    const directory = /There is no history in (\S+):/.exec(await text(page, '[role=alert]'))?.[1] ?? '';
    writeHistory(directory, story());
    await page.waitForSelector('.list tbody tr');
    expect(await page.locator('[role=alert]').count()).toBe(0);
  });
});

describe('with one record', () => {
  const one = served((directory) => writeHistory(directory, story().slice(-1)));

  it('shows it', async () => {
    const { page, faults } = await visit(browser, one());
    expect(await rows(page)).toBe(1);
    expect(await text(page, '.list tbody tr')).toContain('nginx');
    await page.waitForSelector('.plot canvas');
    expect(faults).toEqual([]);
  });
});

describe('with the records of a day', () => {
  const day = served((directory) => writeHistory(directory, story()));

  it('filters by a cause of the chart, and Back leads back', async () => {
    const { page, faults } = await visit(browser, day());
    const before = await rows(page);
    await page.locator('.legend button', { hasText: 'oom kill' }).click();
    await page.waitForURL(/cause=oom_kill/);
    await rowsBecome(page, 1);
    await page.goBack();
    await rowsBecome(page, before);
    expect(faults).toEqual([]);
  });

  it('filters by what is typed, as `whodunit list` does, also from the URL', async () => {
    const { page, faults } = await visit(browser, day());
    await page.keyboard.press('/');
    await page.getByLabel('sender').fill('dock*');
    await page.keyboard.press('Enter');
    await rowsBecome(page, 4);
    await page.reload();
    await shown(page);
    expect(await rows(page)).toBe(4);
    expect(await page.getByLabel('sender').inputValue()).toBe('dock*');
    expect(faults).toEqual([]);
  });

  it('says what is wrong with a time', async () => {
    const { page } = await visit(browser, day());
    await page.goto(`${page.url().split('?')[0]}?since=someday`);
    expect(await text(page, '[role=alert]')).toContain('someday');
  });

  it('zooms in where the chart is dragged', async () => {
    const { page, faults } = await visit(browser, day());
    const box = await page.locator('.plot .u-over').boundingBox();
    if (box === null) throw new Error('the chart has no place');
    await page.mouse.move(box.x + box.width * 0.25, box.y + 50);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 60, { steps: 5 });
    await page.mouse.up();
    await page.waitForURL(/since=.*until=/);
    const all = story().length;
    await until('fewer rows', WITHIN_MS, async () => ((await rows(page)) < all ? true : undefined));
    expect(await rows(page)).toBeGreaterThan(0);
    expect(faults).toEqual([]);
  });

  it('shows the whole report of a crash, by keyboard alone', async () => {
    const { page, faults } = await visit(browser, day());
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    const report = page.locator('.detail');
    await report.waitFor();
    const words = await report.textContent();
    expect(words).toContain('#0 cart_total+0x1f (checkout)');
    expect(words).toContain('Earlier ends of this service');
    expect(words).toContain('not sent: no collector is set');
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('report');
    expect(await seriousFaults(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await report.waitFor({ state: 'detached' });
    await until('the focus on the row', WITHIN_MS, async () =>
      (await page.evaluate(() => document.activeElement?.hasAttribute('data-id'))) ? true : undefined,
    );
    expect(faults).toEqual([]);
  });

  it('shows requester, carrier and victim as a chain', async () => {
    const { page, faults } = await visit(browser, day());
    await openFirst(page, 'service=postgres');
    expect(await page.locator('.chain .role').allTextContents()).toEqual(['asked by', 'sender', 'victim']);
    expect(await page.locator('.chain b').allTextContents()).toEqual(['systemctl', 'systemd', 'postgres']);
    expect(await text(page, '.chain li')).toContain('alice');
    expect(faults).toEqual([]);
  });

  it('shows memory beside its limit', async () => {
    const { page, faults } = await visit(browser, day());
    await openFirst(page, 'cause=oom_kill');
    const label = await page.locator('.memory svg').getAttribute('aria-label');
    expect(label).toBe('475 MiB anonymous, 18 MiB files; limit of /system.slice/payments.service 512 MiB');
    expect(faults).toEqual([]);
  });

  it('shows an incident with its members', async () => {
    const { page, faults } = await visit(browser, day());
    await openFirst(page, `incident=${INCIDENT}`);
    const part = page.locator('.detail section', { hasText: 'Incident' });
    expect(await part.locator('li').count()).toBe(3);
    await part.getByRole('button').click();
    await page.waitForURL((url) => url.searchParams.get('incident') === INCIDENT && !url.searchParams.has('id'));
    await rowsBecome(page, 4);
    expect(faults).toEqual([]);
  });

  it('lists crash loops and the busiest killers, which filter', async () => {
    const { page, faults } = await visit(browser, day());
    await page.locator('#loops', { hasText: 'third time' }).waitFor();
    expect(await text(page, '#loops')).toMatch(
      /^Crash loopsa loop .* checkout: checkout \(pid \d+\) terminated for the third time in .*: SIGSEGV each time;/,
    );
    expect(await text(page, '#killers')).toContain('dockerd');
    await page.locator('#killers button', { hasText: 'dockerd' }).click();
    await rowsBecome(page, 4);
    expect(faults).toEqual([]);
  });

  it('says that a record is not in the history', async () => {
    const { page } = await visit(browser, day());
    await page.goto(`${page.url().split('?')[0]}?id=00000000-0000-5000-8000-000000000000`);
    expect(await text(page, '[role=alert]')).toContain('not in the history');
  });

  it('says that the server was stopped', async () => {
    const directory = temporaryDirectory();
    writeHistory(directory.path, story());
    const other = await serve(directory.path);
    const { page } = await visit(browser, other);
    await other.stop();
    await page.getByText('not connected').waitFor();
    await page.locator('.legend button').first().click();
    await page.getByText('Start it again').first().waitFor();
  });

  it('is usable in the dark and on a phone', async () => {
    const { page, faults } = await visit(browser, day(), { dark: true, width: 390, height: 844 });
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
    expect(await seriousFaults(page)).toEqual([]);
    await page.locator('.list a').first().click();
    await page.locator('.detail').waitFor();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
    expect(await seriousFaults(page)).toEqual([]);
    expect(faults).toEqual([]);
  });

  it('has no serious fault for those who cannot see it', async () => {
    const { page } = await visit(browser, day());
    expect(await seriousFaults(page)).toEqual([]);
  });
});

describe('with hostile names', () => {
  const hostile = served((directory) => writeHistory(directory, hostileRecords()));
  const parts = [
    ['markup', HOSTILE.markup],
    ['newlines', 'first\\u000asecond\\u000d\\u000athird'],
    ['commands to a terminal', '\\u001b[2J\\u001b[31mred\\u0007'],
    ['4 KiB', HOSTILE.long],
    ['a right-to-left override', 'safe\\u202egnp.exe\\u2066'],
    ['an asterisk', '*'],
  ] as const;

  it('shows them as text, and nothing in them happens', async () => {
    const { page, faults } = await visit(browser, hostile());
    await expectInert(page);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(1280);
    expect(await seriousFaults(page)).toEqual([]);
    expect(faults).toEqual([]);
  });

  it.each(parts)('a report shows %s', async (_, shownAs) => {
    const { page, faults } = await visit(browser, hostile());
    const index = parts.findIndex(([, other]) => other === shownAs);
    await page
      .locator('.list a')
      .nth(parts.length - 1 - index)
      .click();
    await page.locator('.detail').waitFor();
    expect(await page.locator('.detail h2').textContent()).toBe(`${shownAs} died`);
    expect(await page.locator('.node b').allTextContents()).toEqual([shownAs, shownAs]);
    await expectInert(page);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(1280);
    expect(faults).toEqual([]);
  });

  it('an asterisk filters for itself', async () => {
    const { page, faults } = await visit(browser, hostile());
    await page.locator('#services button', { hasText: /^\*$/ }).click();
    await rowsBecome(page, 1);
    expect(faults).toEqual([]);
  });
});

describe('with 10,000 records', () => {
  const ten = served((directory) => writeHistory(directory, many(10)));
  const hundred = served((directory) => writeHistory(directory, many(100)));
  const tenThousand = served((directory) => writeHistory(directory, many(10_000)));

  it('shows one page of them, and more on request', async () => {
    const { page, faults } = await visit(browser, tenThousand());
    expect(await rows(page)).toBe(50);
    await page.getByText('10,000 records').waitFor();
    await page.getByRole('button', { name: 'Show older records' }).click();
    await rowsBecome(page, 100);
    expect(faults).toEqual([]);
  });

  it('paints them as fast as ten, and lists them as fast as a hundred: one page of both', async () => {
    const few = await paints(await visit(browser, ten()));
    const page = await paints(await visit(browser, hundred()));
    const lots = await paints(await visit(browser, tenThousand()));
    expect(lots.first).toBeLessThanOrEqual(2 * few.first);
    expect(lots.list).toBeLessThanOrEqual(2 * page.list);
  });
});

/** The fastest of several loads, ms: the first paint, and when the list was there. */
async function paints({ page }: Visit): Promise<{ first: number; list: number }> {
  let [first, list] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let load = 0; load < LOADS; load += 1) {
    await page.reload();
    await shown(page);
    const times = await page.evaluate(() => ({
      first: performance.getEntriesByName('first-contentful-paint')[0]?.startTime,
      list: performance.getEntriesByName('whodunit:list')[0]?.startTime,
    }));
    first = Math.min(first, times.first ?? first);
    list = Math.min(list, times.list ?? list);
  }
  return { first, list };
}
const LOADS = 8;

async function openFirst(page: Page, query: string): Promise<void> {
  await page.goto(`${page.url().split('?')[0]}?${query}`);
  await page.locator('.list a').first().click();
  await page.locator('.detail').waitFor();
}

function rowsBecome(page: Page, count: number): Promise<boolean> {
  return until(`${count} rows`, WITHIN_MS, async () => ((await rows(page)) === count ? true : undefined));
}

async function expectInert(page: Page): Promise<void> {
  const found = await page.evaluate(() => ({
    title: document.title,
    scripts: [...document.scripts].map(({ src }) => new URL(src).pathname.split('/').at(-1)),
    images: document.images.length,
    controls: /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/.test(
      document.body.textContent ?? '',
    ),
  }));
  expect(found).toEqual({ title: 'whodunit', scripts: ['app.js'], images: 0, controls: false });
}
