// SPDX-License-Identifier: Apache-2.0
// `whodunit ui` in a real, headless Chromium. Whatever a test does: an error on the console, or a request to anywhere but the page's own
// server, fails it.
import { type Browser, chromium, type Page } from 'playwright-core';
import { NODE, type Program, SERVICE, startProgram, until } from '../../scripts/stack/program.ts';

const CHROMIUM = '/usr/bin/chromium';
export const WITHIN_MS = 60_000;

/** No sandbox: the tests are root's. */
export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--force-color-profile=srgb'] });
}

/** Closes the pages of a test: each has processes of its own. */
export async function leave(browser: Browser): Promise<void> {
  for (const context of browser.contexts()) await context.close();
}

export interface Served {
  readonly program: Program;
  /** The link that was printed. */
  readonly link: string;
  readonly stop: () => Promise<unknown>;
}

/** Starts `whodunit ui` on a state directory. `health`: of the service. */
export async function serve(stateDirectory: string, health = 'off'): Promise<Served> {
  const program = startProgram(NODE, [SERVICE, 'ui', '--no-open'], {
    env: {
      PATH: process.env.PATH,
      WHODUNIT_STATE_DIR: stateDirectory,
      WHODUNIT_HEALTH_ADDR: health,
    },
  });
  const link = await until(
    'the link of whodunit ui',
    WITHIN_MS,
    () => {
      if (!program.alive()) throw new Error(`whodunit ui has ended:\n${program.output()}`);
      return LINK.exec(program.stdout())?.[0];
    },
    program.output,
  );
  return { program, link, stop: program.stop };
}

export const LINK = /http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]+/g;

/** Another link: each can be opened once. */
export async function anotherLink({ program }: Served): Promise<string> {
  const before = [...program.stdout().matchAll(LINK)].length;
  program.child.stdin?.write('\n');
  return until('another link', WITHIN_MS, () => [...program.stdout().matchAll(LINK)][before]?.[0], program.output);
}

export interface Visit {
  readonly page: Page;
  /** Errors on the console, and requests to elsewhere. */
  readonly faults: readonly string[];
}

export interface VisitOptions {
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
}

/** Opens the page, and waits until the list is shown. */
export async function visit(browser: Browser, served: Served, options: VisitOptions = {}): Promise<Visit> {
  return visitLink(browser, await anotherLink(served), options);
}

export async function visitLink(browser: Browser, link: string, options: VisitOptions = {}): Promise<Visit> {
  const { width = 1280, height = 860, dark = false } = options;
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? 'dark' : 'light',
    locale: 'en-GB',
    timezoneId: 'UTC',
    reducedMotion: 'reduce',
  });
  context.setDefaultTimeout(WITHIN_MS);
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') faults.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
  page.on('request', (request) => {
    if (!request.url().startsWith(`${new URL(link).origin}/`)) faults.push(`request: ${request.url()}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 400)
      faults.push(`${response.status()}: ${response.url()} ${JSON.stringify(response.request().headers())}`);
  });
  await page.goto(link);
  await shown(page);
  return { page, faults };
}

/** Waits until the page shows what it has: a list, or why there is none. */
export async function shown(page: Page): Promise<void> {
  await page.waitForSelector('.list tbody tr, .empty, [role=alert]');
}

export const rows = (page: Page): Promise<number> => page.locator('.list tbody tr').count();
