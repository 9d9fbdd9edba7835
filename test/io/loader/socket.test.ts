// SPDX-License-Identifier: Apache-2.0
// LoaderReader against a real Unix socket server.
import { chmodSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeLoader, golden, goldenObject, line, until } from '../../../scripts/stack/fake-loader.ts';
import { LINE_BYTES_MAX } from '../../../src/core/wire/wire.ts';
import { LoaderReader, type Received } from '../../../src/io/loader/socket.ts';
import { Log } from '../../../src/io/log.ts';

let loader: FakeLoader;
let reader: LoaderReader;
let lines: string[];
let received: Received[];
let stop: AbortController;
let reading: Promise<void>;

beforeEach(async () => {
  loader = await new FakeLoader().start();
  lines = [];
  received = [];
  stop = new AbortController();
});

afterEach(async () => {
  stop.abort();
  await reading;
  await loader.remove();
});

function read(onMessage: (message: Received) => void | Promise<void> = () => {}, path = loader.path): void {
  const log = new Log((text) => lines.push(text));
  reader = new LoaderReader({ path, log, signal: stop.signal });
  reading = (async () => {
    for await (const message of reader.read()) {
      received.push(message);
      await onMessage(message);
    }
  })();
}

const types = (): string[] => received.flatMap(({ messages }) => messages.map(({ type }) => type));
const deaths = (): number => types().filter((type) => type === 'death').length;

describe('a connection to the loader', () => {
  it('claims the role of the consumer after hello, and receives all messages in order', async () => {
    read();
    await until(() => types().length === 3, 'hello, hello, status');
    loader.send(golden('death-oom'), golden('death-exit-3'));
    await until(() => deaths() === 2, 'two deaths');
    expect(loader.received).toEqual(['{"v":1,"type":"ack","seq":"0"}']);
    expect(types()).toEqual(['hello', 'hello', 'status', 'death', 'death']);
    expect(received.at(-1)?.hello).toMatchObject({ role: 'consumer', boot_id: goldenObject('hello').boot_id });
    expect(reader.snapshot()).toMatchObject({ connected: true, error: null, hello: { role: 'consumer' } });
  });

  it('ignores terminations, decodable or not, that arrive before it is the consumer: they are sent again', async () => {
    loader.onClaim = (socket) => {
      socket.write(golden('death-oom'));
      socket.write(line({ v: 1, type: 'death', seq: '1', broken: true }));
      loader.becomeConsumer(socket);
      socket.write(golden('death-exit-3'));
    };
    read();
    await until(() => deaths() > 0, 'a death');
    expect(types()).toEqual(['hello', 'hello', 'status', 'death']);
    expect(reader.snapshot()).toMatchObject({ badLines: 0, badDeaths: 0 });
  });

  it('acknowledges on its own connection, and never a lower position', async () => {
    read();
    await until(() => received.length > 0, 'hello');
    const connection = received[0]?.connection;
    connection?.ack(10n);
    connection?.ack(5n);
    connection?.ack(20n);
    await until(() => loader.received.length === 3, 'the acks');
    expect(loader.acks()).toEqual([0n, 10n, 20n]);
  });

  it('logs which probe is not attached, and why', async () => {
    read();
    await until(() => lines.length > 1, 'the log line about the probe');
    expect(lines.join('')).toContain('probe mark_victim is not attached');
  });

  it('does not read while the caller does not pull', async () => {
    let go: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    read(({ messages }) => (messages.some(({ type }) => type === 'death') ? gate : undefined));
    await until(() => types().length === 3, 'the greeting');
    const death = golden('death-oom');
    for (let i = 0; i < 4_000; i += 1) loader.send(death);
    await new Promise((resolve) => setTimeout(resolve, 100));
    // The result of one read of the socket, and no more.
    const held = deaths();
    expect(held).toBeLessThan(400);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(deaths()).toBe(held);
    expect(loader.sockets[0]?.writableLength).toBeGreaterThan(1_000_000);
    go();
    await until(() => deaths() === 4_000, 'all terminations');
  });

  it('ends at once when the signal is aborted', async () => {
    read();
    await until(() => received.length > 0, 'hello');
    stop.abort();
    await reading;
    expect(reader.snapshot().connected).toBe(false);
  });
});

describe('bad input', () => {
  it('is counted, logged once and skipped: invalid JSON, lines that are too long, unknown types and versions', async () => {
    read();
    await until(() => types().length === 3, 'the greeting');
    loader.send(
      'garbage\n',
      `${'x'.repeat(LINE_BYTES_MAX + 10)}\n`,
      '{"v":1,"type":"birth"}\n',
      '{"v":2,"type":"death"}\n',
      golden('death-oom'),
    );
    await until(() => deaths() === 1, 'the next termination');
    expect(reader.snapshot().badLines).toBe(4);
    expect(lines.filter((text) => text.includes('WIRE_'))).toHaveLength(1);
  });

  it('that was a termination is counted as lost, and its position is passed on for the ack', async () => {
    read();
    await until(() => types().length === 3, 'the greeting');
    loader.send(line({ ...goldenObject('death-oom'), seq: '777', process: null }), golden('status'));
    await until(() => types().includes('unreadable'), 'its position');
    expect(reader.snapshot()).toMatchObject({ badLines: 1, badDeaths: 1 });
    expect(received.flatMap(({ messages }) => messages)).toContainEqual({ type: 'unreadable', seq: 777n });
  });

  it('includes the incomplete line of a killed loader; its termination is read from the next loader', async () => {
    read();
    await until(() => types().length === 3, 'the greeting');
    loader.send(golden('death-oom').slice(0, 100));
    await new Promise((resolve) => setTimeout(resolve, 30));
    await loader.stop();
    await until(() => reader.snapshot().badLines === 1, 'the incomplete line');
    expect(reader.snapshot().badDeaths).toBe(0);
    loader.onClaim = (socket) => {
      loader.becomeConsumer(socket);
      socket.write(golden('death-oom'));
    };
    await loader.start();
    await until(() => deaths() === 1, 'the complete line');
  });

  it('from a loader of another protocol version is rejected, with the remedy', async () => {
    loader.greeting = line({ ...goldenObject('hello'), v: 2 });
    read();
    await until(() => loader.connections >= 2, 'another attempt');
    expect(received).toEqual([]);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('another version of the protocol');
    expect(reader.snapshot().error).toContain('install loader and service of the same release');
  });

  it('from a program that sends no hello is rejected: it is not the loader', async () => {
    loader.greeting = 'SSH-2.0-OpenSSH_9.9\r\n';
    read();
    await until(() => lines.length > 0, 'a log line');
    expect(lines[0]).toContain('is not whodunit-loader');
  });

  it('includes a termination before hello', async () => {
    loader.greeting = golden('death-oom');
    read();
    await until(() => lines.length > 0, 'a log line');
    expect(lines[0]).toContain('death before hello');
    expect(received).toEqual([]);
  });
});

describe('a loader that is not available', () => {
  it('is logged once, with the socket and the remedy, and used as soon as it runs', async () => {
    await loader.stop();
    read();
    await until(() => lines.length > 0, 'a log line');
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toBe(
      `whodunit: The loader is not running: no process listens at ${loader.path}. Start it as root with: whodunit-loader run. Retrying.\n`,
    );
    expect(reader.snapshot()).toMatchObject({ connected: false, error: expect.stringContaining(loader.path) });
    await loader.start();
    await until(() => types().length === 3, 'the greeting');
    expect(reader.snapshot().error).toBeNull();
  });

  it('is used again after its restart', async () => {
    read();
    await until(() => types().length === 3, 'the greeting');
    const first = received[0]?.connection;
    await loader.stop();
    await loader.start();
    await until(() => types().length === 6, 'the second greeting');
    first?.ack(99n);
    received.at(-1)?.connection.ack(100n);
    await until(() => loader.received.length === 3, 'the ack');
    expect(loader.acks()).toEqual([0n, 0n, 100n]);
  });

  it('is retried while another service is its consumer', async () => {
    let taken = true;
    loader.onClaim = (socket) => {
      if (taken) socket.end(golden('error'));
      else loader.becomeConsumer(socket);
    };
    read();
    await until(() => lines.length > 0, 'a log line');
    expect(lines[0]).toContain('Another whodunit already reads');
    expect(reader.snapshot().error).toContain('pid 812');
    taken = false;
    await until(() => types().includes('status'), 'the role of the consumer');
    expect(reader.snapshot()).toMatchObject({ connected: true, error: null });
  });

  it('is logged with the path if that is not a socket', async () => {
    const path = `${loader.directory}/file`;
    writeFileSync(path, '');
    chmodSync(path, 0o600);
    read(() => {}, path);
    await until(() => lines.length > 0, 'a log line');
    expect(lines[0]).toContain(path);
  });
});
