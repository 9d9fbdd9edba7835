// SPDX-License-Identifier: Apache-2.0
// Container runtimes that answer, and those that are absent, slow, lying or huge. Real ones: test/delivery/containers.test.ts.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { temporaryDirectory, until } from '../../../scripts/stack/program.ts';
import { DockerContainers } from '../../../src/io/docker/containers.ts';
import { Log } from '../../../src/io/log.ts';

const WITHIN_MS = 60_000;
/** Of those that are slow. */
const SHORT_MS = 200;
const LONG_MS = 30_000;
const ID = 'a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90';
const idOf = (n: number) => n.toString(16).padStart(64, '0');
const item = (Id: string, name: string) => ({ Id, Names: [`/${name}`], Image: 'busybox', Labels: {} });
const event = (Action: string, ID: string, name = '') =>
  `${JSON.stringify({ Type: 'container', Action, Actor: { ID, Attributes: { name, image: 'busybox' } } })}\n`;

type Answer = (response: ServerResponse, request: IncomingMessage) => unknown;
const json =
  (value: unknown): Answer =>
  (response) =>
    response.end(JSON.stringify(value));
const notFound: Answer = (response) => response.writeHead(404).end('{"message":"no such container"}');
const silent: Answer = () => {};
const quiet: Answer = (response) => response.flushHeaders();

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const one of cleanUp.splice(0).reverse()) await one();
});

interface Runtime {
  readonly path: string;
  /** Method and path of each request. */
  readonly asked: string[];
  readonly containers: DockerContainers;
  readonly lines: string[];
  /** Waits until the snapshot has this. */
  readonly has: (expected: object) => Promise<void>;
}

/** A runtime with these answers, and whodunit following it. */
async function follow(
  answers: { events?: Answer; list?: Answer; inspect?: Answer } | null,
  timeoutMs = LONG_MS,
): Promise<Runtime> {
  const directory = temporaryDirectory();
  const path = join(directory.path, 'docker.sock');
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const { method, url = '' } = request;
    asked.push(`${method} ${url.split('?')[0]}`);
    const { events = quiet, list = json([]), inspect = notFound } = answers ?? {};
    if (url.startsWith('/events?')) events(response, request);
    else if (url.startsWith('/containers/json?')) list(response, request);
    else inspect(response, request);
  });
  if (answers !== null) await new Promise<void>((resolve) => server.listen(path, resolve));
  const stop = new AbortController();
  const lines: string[] = [];
  const log = new Log((line) => lines.push(line));
  const containers = new DockerContainers({ path, log, signal: stop.signal, timeoutMs });
  const ended = containers.follow();
  cleanUp.push(
    directory.remove,
    () => close(server),
    () => ended,
    () => stop.abort(),
  );
  const has = (expected: object) =>
    until(
      'the snapshot',
      WITHIN_MS,
      () => isIn(expected, containers.snapshot()) || undefined,
      () => JSON.stringify(containers.snapshot()),
    ).then(() => {});
  return { path, asked, containers, lines, has };
}

function isIn(expected: object, actual: object): boolean {
  return Object.entries(expected).every(([key, value]) => {
    const found = actual[key as keyof typeof actual] as unknown;
    return value instanceof RegExp ? value.test(String(found)) : found === value;
  });
}

function close(server: Server): void {
  server.close();
  server.closeAllConnections();
}

describe('a runtime that answers', () => {
  it('names those that it lists, those that it creates, and for a while those that are gone, with GET only', async () => {
    let say = (_: string): unknown => null;
    const { asked, containers, has } = await follow({
      events: (response) => {
        response.flushHeaders();
        say = (text) => response.write(text);
      },
      list: json([item(ID, 'web')]),
    });
    await has({ connected: true, known: 1, error: null });
    const created = event('create', idOf(1), 'job');
    say(created.slice(0, 40));
    say(`${created.slice(40)}\n${event('destroy', ID)}`);
    await until('the events', WITHIN_MS, () => containers.find(idOf(1)) ?? undefined);
    await has({ known: 1, unreadable: 0 });
    expect([containers.find(ID)?.name, containers.find(idOf(1))?.name]).toEqual(['web', 'job']);
    say(event('rename', idOf(1), 'other'));
    await until('the other name', WITHIN_MS, () => containers.find(idOf(1))?.name === 'other' || undefined);
    expect(asked.slice(0, 2)).toEqual(['GET /events', 'GET /containers/json']);
    expect(asked.filter((one) => !one.startsWith('GET '))).toEqual([]);
  });

  it('is asked for a container that is not known, once, and the first record does not wait', async () => {
    const { asked, containers, has } = await follow({
      inspect: (response, { url }) =>
        url?.includes(ID)
          ? json({ Id: ID, Name: '/web', Config: { Image: 'nginx:1.27' } })(response, { url } as IncomingMessage)
          : notFound(response, { url } as IncomingMessage),
    });
    await has({ connected: true });
    expect(containers.find(ID)).toBeNull();
    await until('the answer', WITHIN_MS, () => containers.find(ID) ?? undefined);
    expect(containers.find(ID)).toMatchObject({ name: 'web', image: { name: 'nginx', tags: ['1.27'] } });
    for (let n = 0; n < 5; n++) {
      expect([containers.find(idOf(1)), containers.find('../../images/json'), containers.find(null)]).toEqual([
        null,
        null,
        null,
      ]);
      await until(
        'the answer that there is none',
        WITHIN_MS,
        () => asked.includes(`GET /containers/${idOf(1)}/json`) || undefined,
      );
    }
    expect(asked.filter((one) => one.includes('/containers/'))).toEqual([
      'GET /containers/json',
      `GET /containers/${ID}/json`,
      `GET /containers/${idOf(1)}/json`,
    ]);
    await has({ failures: 0, error: null });
  });

  it('is followed again after it was restarted', async () => {
    let connections = 0;
    const { has, containers } = await follow({
      events: (response) => {
        connections += 1;
        if (connections === 1) response.end();
        else response.flushHeaders();
      },
      list: (response, request) => json(connections === 1 ? [] : [item(ID, 'web')])(response, request),
    });
    await has({ connected: true, known: 1, error: null, failures: 1 });
    expect(containers.find(ID)?.name).toBe('web');
  });
});

describe('a runtime that does not', () => {
  const huge: Answer = (response) => {
    const more = () => {
      while (!response.destroyed && response.write('[[[[[[[['.repeat(8_192)));
    };
    response.on('drain', more);
    more();
  };

  it.each<[string, Parameters<typeof follow>[0], RegExp]>([
    [
      'is absent',
      null,
      /^Neither Docker nor Podman listens at .* \(ENOENT\): start it, or correct or unset WHODUNIT_DOCKER_SOCKET\./,
    ],
    ['is silent', { events: silent }, /did not answer GET \/events within 200 ms: check WHODUNIT_DOCKER_SOCKET\./],
    [
      'never ends its list',
      { list: (response) => response.write('[') },
      /did not answer GET \/containers\/json within 200 ms/,
    ],
    ['has a huge list', { list: huge }, /answered GET \/containers\/json with more than 8388608 bytes/],
    ['refuses', { events: (response) => response.writeHead(403).end() }, /answered GET \/events with HTTP 403/],
    ['answers with no JSON', { list: (response) => response.end('<html>') }, /with something that is not JSON/],
    ['answers with something else', { list: json({ message: 'no' }) }, /with a list of containers/],
    ['speaks another protocol', { events: (response) => response.socket?.end('{"v":1}\n') }, /failed with HPE_/],
    [
      'sends endless headers',
      { events: (response) => response.socket?.write(`HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(9_999)}`) },
      /failed with HPE_/,
    ],
    ['hangs up', { events: (response) => response.socket?.destroy() }, /failed with ECONNRESET/],
  ])('that %s is said in one sentence', async (what, answers, sentence) => {
    const { containers, lines, has } = await follow(answers, /silent|never/.test(what) ? SHORT_MS : LONG_MS);
    expect(containers.find(ID)).toBeNull();
    await has({ error: sentence });
    const { failures, error } = containers.snapshot();
    expect(failures).toBeGreaterThan(0);
    expect(lines.filter((line) => line.includes(error ?? ''))).toHaveLength(1);
    expect(error).toMatch(/\. Records are complete without the names of containers\.$/);
  });

  it('has a list that is huge still names those that it creates', async () => {
    const { containers, has } = await follow({
      list: huge,
      events: (response) => response.write(event('create', ID, 'web')),
    });
    await has({ connected: true, error: /8388608/ });
    await until('the event', WITHIN_MS, () => containers.find(ID) ?? undefined);
  });

  it('tells lies has them counted, and the true lines beside them read', async () => {
    const { containers, has } = await follow({
      list: json([item('../../etc', 'a'), { Id: ID }, null, item(ID, 'evil\nname')]),
      events: (response) => {
        response.write(`not json\n{"Type":"image"}\n${event('create', 'sshd', 'a')}${'x'.repeat(200_000)}`);
        response.write(`${'x'.repeat(200_000)}\n${event('create', idOf(1), 'job')}`);
      },
    });
    await until('the event', WITHIN_MS, () => containers.find(idOf(1)) ?? undefined);
    await has({ connected: true, known: 2, unreadable: 6 });
    expect(containers.find(ID)).toEqual({
      name: null,
      image: { name: 'busybox', tags: ['latest'] },
      project: null,
      service: null,
    });
  });

  it('answers for another container than it was asked for is not believed', async () => {
    const { containers, has } = await follow({ inspect: json({ Id: idOf(7), Name: '/sshd', Config: {} }) });
    await has({ connected: true });
    containers.find(ID);
    await has({ failures: 1, error: /did not answer GET \/containers\/a1b2.*\/json with that container/ });
    expect([containers.find(ID), containers.find(idOf(7))]).toEqual([null, null]);
  });

  it('floods with events takes no more than its share of the time', async () => {
    const { containers, has } = await follow({
      events: (response) => {
        let n = 0;
        const more = () => {
          while (!response.destroyed && response.write(event('create', idOf(n++), 'job')));
        };
        response.on('drain', more);
        more();
      },
    });
    await has({ connected: true });
    const before = containers.snapshot();
    const cpu = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const { known, forgotten } = containers.snapshot();
    expect(known + forgotten - before.known - before.forgotten).toBeLessThan(4_000);
    expect(process.cpuUsage(cpu).user).toBeLessThan(900_000);
  });
});
