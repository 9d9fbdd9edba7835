// SPDX-License-Identifier: Apache-2.0
// The server of `whodunit ui`, on 127.0.0.1 only: the page's files, the history as JSON, and new records as events. It only reads.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FatalError } from '../../core/errors.ts';
import type { Filter } from '../../core/history/filter.ts';
import type { HealthAnswer } from '../../core/page/answers.ts';
import { Access } from './access.ts';
import { detailAnswer, type History, listAnswer, overviewAnswer } from './answers.ts';
import { readAssets } from './assets.ts';
import { Live } from './live.ts';
import { readQuery } from './query.ts';

const REQUEST_TIMEOUT_MS = 10_000;
const CONNECTIONS_MAX = 128;

const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const;

export interface Page {
  /** Opens the history, or throws an error whose sentence the page shows. */
  readonly history: () => History;
  readonly health: () => Promise<HealthAnswer>;
}

export interface Serving {
  /** A new link that can be opened once. */
  readonly link: () => string;
  readonly close: () => void;
}

/** `port` 0: any free one. Rejects with a FatalError if it cannot be used. */
export async function servePage(page: Page, port: number, assets = readAssets()): Promise<Serving> {
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS });
  server.maxConnections = CONNECTIONS_MAX;
  await listen(server, port);
  const access = new Access((server.address() as AddressInfo).port);
  const live = new Live(page.history);
  server.on('request', (request, response) => void respond(request, response, { page, access, live, assets }));
  const close = (): void => {
    live.close();
    server.close();
    server.closeAllConnections();
  };
  return { link: () => access.link(), close };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'another program has it' : error.message;
      reject(new FatalError('UI_PORT', `port ${port} cannot be used: ${why}. Leave out --port for a free one.`));
    });
    server.listen(port, '127.0.0.1', resolve);
  });
}

interface Parts {
  readonly page: Page;
  readonly access: Access;
  readonly live: Live;
  readonly assets: ReturnType<typeof readAssets>;
}

async function respond(request: IncomingMessage, response: ServerResponse, parts: Parts): Promise<void> {
  const { access } = parts;
  // Not parsed as a URL: `//` is none, and would throw.
  const [path = '', search] = (request.url ?? '/').split('?', 2);
  const query = new URLSearchParams(search);
  for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
  if (access.isForeign(request.headers, path === '/')) return end(response, 403);
  if (request.method !== 'GET') return end(response, 405);
  if (path === '/favicon.ico') return end(response, 204); // browsers ask for it where a page names no icon
  if (path === '/') return enter(response, access, query.get('token') ?? '');
  if (!path.startsWith(access.base) || !access.hasCookie(request.headers)) return end(response, 403, CLOSED);
  const below = path.slice(access.base.length);
  const asset = parts.assets.get(below);
  if (asset !== undefined) return end(response, 200, asset);
  try {
    await answer(response, below, query, parts);
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    json(response, 503, { error: error.message });
  }
}

/**
 * A browser that followed the link from elsewhere sends no SameSite=Strict cookie on a redirect; it sends it where a page of this origin
 * leads to.
 */
function enter(response: ServerResponse, access: Access, token: string): void {
  const valid = access.spend(token);
  if (valid) response.setHeader('set-cookie', access.cookie);
  const leading = html('whodunit', `<a href="${access.base}">open</a>`, access.base);
  end(response, valid ? 200 : 403, valid ? leading : CLOSED);
}

async function answer(response: ServerResponse, path: string, query: URLSearchParams, parts: Parts): Promise<void> {
  const { page, live } = parts;
  switch (path) {
    case 'api/list':
      return filtered(response, query, (filter) => listAnswer(page.history(), filter, query.get('before')));
    case 'api/overview':
      return filtered(response, query, (filter) =>
        overviewAnswer(page.history(), filter, BigInt(Date.now()) * 1_000_000n),
      );
    case 'api/record': {
      const found = detailAnswer(page.history(), query.get('id') ?? '');
      if (found !== null) return json(response, 200, found);
      return json(response, 404, { error: 'This record is not in the history: it is older than what is kept.' });
    }
    case 'api/health':
      return json(response, 200, await page.health());
    case 'api/live':
      if (!live.add(response)) json(response, 503, { error: 'Too many pages are open.' });
      return;
    default:
      return end(response, 404);
  }
}

function filtered(response: ServerResponse, query: URLSearchParams, answer: (filter: Filter) => object): void {
  const filter = readQuery(query);
  if ('error' in filter) json(response, 400, filter);
  else json(response, 200, answer(filter));
}

function json(response: ServerResponse, status: number, body: object): void {
  end(response, status, { type: 'application/json', body: JSON.stringify(body) });
}

interface Body {
  readonly type: string;
  readonly body: string | Buffer;
}

function end(response: ServerResponse, status: number, content?: Body): void {
  response.writeHead(status, content === undefined ? {} : { 'content-type': content.type });
  response.end(content?.body);
}

/** `text`: HTML of ours. `next`: where the page leads at once. */
function html(title: string, text: string, next?: string): Body {
  const refresh = next === undefined ? '' : `<meta http-equiv="refresh" content="0; url=${next}">`;
  const head = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">`;
  return { type: 'text/html; charset=utf-8', body: `${head}${refresh}<title>${title}</title><p>${text}` };
}

const CLOSED = html(
  'whodunit',
  'This link was opened before, or is of another run. Press Enter in the terminal of <code>whodunit ui</code> for a new one.',
);
