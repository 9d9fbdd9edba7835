// SPDX-License-Identifier: Apache-2.0
// The health endpoint of a real service: a web page that rebinds its name to 127.0.0.1, and clients that hold every connection.
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Program, until } from '../../scripts/stack/program.ts';
import { type Place, place, startService } from '../../scripts/stack/whodunit.ts';

const WITHIN_MS = 60_000;
const SLOW_CLIENTS = 64;
const PROBE_WITHIN_MS = 10_000;

let at: Place;
let service: Program;
const sockets: Socket[] = [];

/** The answer to a request with these headers; null: none. */
function get(path: string, headers: Record<string, string> = {}): Promise<{ status: number; body: string } | null> {
  const [hostname, port] = at.health.split(':');
  return new Promise((resolve) => {
    const sent = request({ hostname, port, path, headers, agent: false, timeout: PROBE_WITHIN_MS }, (answer) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }));
    });
    sent.on('timeout', () => sent.destroy()).on('error', () => resolve(null));
    sent.end();
  });
}

const statusFor = async (path: string, host: string) => (await get(path, { host }))?.status;

/** Connects, sends the text, and never reads. */
function hold(text: string): Promise<Socket> {
  const [host, port] = at.health.split(':');
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port) }, () => {
      socket.pause();
      socket.write(text);
      resolve(socket);
    });
    socket.on('error', () => resolve(socket));
    sockets.push(socket);
  });
}

// It needs no loader: an endpoint without one answers, too.
beforeEach(async () => {
  at = await place();
  service = startService(at);
  await until('livez', WITHIN_MS, async () => (await get('/livez')) ?? undefined, service.output);
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await service.stop();
  at.directory.remove();
});

describe('a web page whose name resolves to 127.0.0.1', () => {
  it('reads neither /recent nor /status, while local clients and the kubelet are answered', async () => {
    const port = at.health.split(':')[1];
    const foreign = [
      'attacker.example',
      `attacker.example:${port}`,
      '127.0.0.1.attacker.example',
      'localhost.attacker.example',
    ];
    for (const host of [...foreign, 'localhost@attacker.example', '127.attacker.example'])
      for (const path of ['/recent', '/status'])
        expect([host, path, await statusFor(path, host)]).toEqual([host, path, 403]);
    for (const host of [at.health, 'localhost', `LOCALHOST:${port}`, 'localhost:8080', '127.0.0.2', '[::1]:9465'])
      for (const path of ['/recent', '/status'])
        expect([host, path, await statusFor(path, host)]).toEqual([host, path, 200]);
    for (const host of ['10.1.2.3:9465', 'node-7', 'attacker.example']) {
      expect([host, await statusFor('/livez', host)]).toEqual([host, 200]);
      expect([host, await statusFor('/readyz', host)]).toEqual([host, 503]);
    }
  });
});

describe('clients that hold every connection', () => {
  it.each([
    ['send nothing', ''],
    ['send half a request', 'GET /readyz HTTP/1.1\r\nHost: a\r\n'],
    ['keep the connection after an answer', 'GET /livez HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n'],
    ['send half a body', 'GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1'],
  ])('%s: the kubelet is answered', async (_, text) => {
    await Promise.all(Array.from({ length: SLOW_CLIENTS }, () => hold(text)));
    expect(await get('/livez')).toMatchObject({ status: 200 });
    expect(await get('/readyz')).toMatchObject({ status: 503 });
  });

  it('closes their connections after some seconds', async () => {
    const held = await Promise.all(Array.from({ length: 3 }, () => hold('GET /livez HTTP/1.1\r\n')));
    for (const socket of held) socket.resume();
    await until(
      'the end of the slow connections',
      WITHIN_MS / 4,
      () => held.every((one) => one.destroyed) || undefined,
    );
  });
});
