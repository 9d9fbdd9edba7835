// SPDX-License-Identifier: Apache-2.0
// Who gets an answer from the page's server, and with which headers.
import { type IncomingHttpHeaders, request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FatalError } from '../../../src/core/errors.ts';
import { type Serving, servePage } from '../../../src/io/ui/server.ts';

const html = { type: 'text/html; charset=utf-8', body: Buffer.from('the page') };
let serving: Serving;
let port: number;
let base: string;
let cookie: string;

beforeAll(async () => {
  const page = {
    history: () => {
      throw new FatalError('HISTORY_UNREADABLE', 'There is no history here.');
    },
    health: async () => ({ lines: [] }),
  };
  serving = await servePage(page, 0, new Map([['', html]]));
  port = Number(new URL(serving.link()).port);
  const { headers, body } = await enter(serving.link());
  cookie = (headers['set-cookie']?.[0] ?? '').split(';')[0] ?? '';
  base = /url=([^"]+)"/.exec(body)?.[1] ?? '';
});
afterAll(() => serving.close());

interface Got {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

function get(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Got> {
  return new Promise((resolve, reject) => {
    const asked = request({
      host: '127.0.0.1',
      port,
      path,
      method,
      headers: { host: `127.0.0.1:${port}`, ...headers },
    });
    asked.on('error', reject).on('response', async (response) => {
      let body = '';
      for await (const chunk of response.setEncoding('utf8')) body += chunk;
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
    });
    asked.end();
  });
}

const enter = (link: string, headers = {}): Promise<Got> => get(link.slice(new URL(link).origin.length), headers);

describe('a link', () => {
  it('can be opened once, and gives a cookie that no script reads and no other site sends', async () => {
    const link = serving.link();
    const { status, headers } = await enter(link);
    expect(status).toBe(200);
    expect(headers['set-cookie']?.[0]).toMatch(
      /^whodunit-ui=[\w-]{43}; Path=\/[\w-]{22}\/; HttpOnly; SameSite=Strict$/,
    );
    expect(await enter(link)).toMatchObject({ status: 403, body: expect.stringContaining('opened before') });
    expect((await enter(link)).headers['set-cookie']).toBeUndefined();
  });

  it('may be followed from anywhere', async () => {
    expect(await enter(serving.link(), { 'sec-fetch-site': 'cross-site' })).toMatchObject({ status: 200 });
  });

  it.each([
    ['no token', '/'],
    ['an empty one', '/?token='],
    ['a wrong one', `/?token=${'A'.repeat(43)}`],
    ['a part of one', '/?token=A'],
  ])('with %s opens nothing', async (_, path) => {
    const { status, headers } = await get(path);
    expect(status).toBe(403);
    expect(headers['set-cookie']).toBeUndefined();
  });

  it('is not the cookie: neither leads to the other', async () => {
    const token = new URL(serving.link()).searchParams.get('token') ?? '';
    expect(await get(base, { cookie: `whodunit-ui=${token}` })).toMatchObject({ status: 403 });
    expect(await get(`/?token=${cookie.split('=')[1]}`)).toMatchObject({ status: 403 });
  });
});

describe('the page', () => {
  it('is served to whoever has the cookie', async () => {
    expect(await get(base, { cookie })).toMatchObject({ status: 200, body: 'the page' });
    expect(await get(base, { cookie: `other=1; ${cookie}` })).toMatchObject({ status: 200 });
  });

  it.each([
    ['without a cookie', () => ({})],
    ['with a wrong one', () => ({ cookie: `whodunit-ui=${'A'.repeat(43)}` })],
    ['with an empty one', () => ({ cookie: 'whodunit-ui=' })],
  ])('is not served %s', async (_, headers) => {
    for (const path of ['', 'app.js', 'api/list', 'api/live'])
      expect(await get(base + path, headers())).toMatchObject({ status: 403, body: expect.not.stringContaining(base) });
  });

  it('is not served at another path: the cookie alone is not enough', async () => {
    expect(await get('/AAAAAAAAAAAAAAAAAAAAAA/', { cookie })).toMatchObject({ status: 403 });
  });

  it('runs no script but its own file, and is in no frame', async () => {
    const { headers } = await get(base, { cookie });
    const policy = headers['content-security-policy'];
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain('unsafe');
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    });
  });

  it('says why there is no history', async () => {
    for (const path of ['api/list', 'api/overview', 'api/record?id=1'])
      expect(await get(base + path, { cookie })).toMatchObject({
        status: 503,
        body: '{"error":"There is no history here."}',
      });
  });

  it('only reads', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS'])
      expect(await get(base, { cookie }, method)).toMatchObject({ status: 405, body: '' });
  });
});

describe('nothing is answered', () => {
  it.each([
    ['another name', () => ({ host: 'evil.example' })],
    ['another name that is rebound to the port', () => ({ host: `evil.example:${port}` })],
    ['the address with another port', () => ({ host: `127.0.0.1:${port + 1}` })],
    ['no port', () => ({ host: '127.0.0.1' })],
    ['another address', () => ({ host: `127.0.0.2:${port}` })],
    ['a name that begins like ours', () => ({ host: `127.0.0.1:${port}.evil.example` })],
    ['another origin', () => ({ origin: 'http://evil.example' })],
    ['the origin of another port', () => ({ origin: `http://127.0.0.1:${port + 1}` })],
    ['the origin of a sandbox or a file', () => ({ origin: 'null' })],
    ['a page of another site', () => ({ 'sec-fetch-site': 'cross-site' })],
    ['a page of another port', () => ({ 'sec-fetch-site': 'same-site' })],
  ])('to %s', async (_, headers) => {
    expect(await get(base, { cookie, ...headers() })).toMatchObject({ status: 403, body: '' });
  });

  it('and no link is spent', async () => {
    const link = serving.link();
    expect(await enter(link, { host: 'evil.example' })).toMatchObject({ status: 403, body: '' });
    expect(await enter(link, { origin: 'http://evil.example' })).toMatchObject({ status: 403, body: '' });
    expect(await enter(link)).toMatchObject({ status: 200 });
  });
});

describe('what is no request for the page', () => {
  it.each(['//', '/\\', '/%', '/../../etc/passwd', '/?token=%FF', `/${'a'.repeat(8000)}`])(
    '%s gets no answer of it',
    async (path) => {
      expect((await get(path, { cookie })).status).toBe(403);
    },
  );
});
