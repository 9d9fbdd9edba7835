// SPDX-License-Identifier: Apache-2.0
// Twenty clients of the loader's socket read nothing, or send garbage, during 500 terminations a second. They reconnect whenever they are
// disconnected. The service must not be affected, and the loader must not grow.
//
// This scenario uses the default filter, so some terminations are filtered. None is aggregated, because a summary names no single process.
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { startReaper } from './reap.ts';
import { sample } from './sample.ts';
import { check, type Scenario } from './scenario.ts';
import { onStack } from './stack.ts';

const CLIENTS = 20;
const RATE = 500;
const SHORT_MS = 5_000;
const FULL_MS = 60_000;
const AGAIN_MS = 20;
/** The buffers of twenty sessions, and what the Go runtime allocates for them. */
const GROWTH_BYTES_MAX = 64 * 2 ** 20;

/** What the clients send; undefined: nothing, and they do not read. */
const PAYLOADS: readonly (() => Buffer | undefined)[] = [
  () => undefined,
  () => randomBytes(65_536),
  () => Buffer.from(`{"v":1,"type":"ack","seq":"${2n ** 63n}"}\n`),
  () => Buffer.from('{"v":1,"type":"ack","seq":"-1"}\n{"v":2}\n[]\nnull\n'),
  () => Buffer.from(`{"v":1,"type":"ack","seq":"${'9'.repeat(200_000)}`),
];

/** Connects again and again until the signal aborts. Returns a function that returns the number of connections. */
function keepConnecting(socket: string, payload: () => Buffer | undefined, until: AbortSignal): () => number {
  let connections = 0;
  const again = (): void => {
    if (until.aborted) return;
    const bytes = payload();
    const client = connect(socket, () => {
      connections += 1;
      if (bytes !== undefined) client.write(bytes);
    });
    client.pause();
    // A client that sends must read, or it would not notice that it was disconnected.
    if (bytes !== undefined) client.resume();
    client.on('error', () => {});
    client.on('close', () => setTimeout(again, AGAIN_MS));
    until.addEventListener('abort', () => client.destroy(), { once: true });
  };
  again();
  return () => connections;
}

export const badClients: Scenario = {
  key: 'h',
  name: '20 clients that read nothing or send garbage',
  withinMs: ({ full }) => (full ? 240_000 : 150_000),
  run: async ({ full }) => {
    const over = new AbortController();
    const env = { WHODUNIT_REPORT: 'default', WHODUNIT_RECORDS_PER_MINUTE: 'off' };
    return await onStack({ protocol: 'http/protobuf', env }, async (stack) => {
      const memory = sample(stack.loader.program.pid).residentBytes;
      const connected = Array.from({ length: CLIENTS }, (_, index) =>
        keepConnecting(stack.at.socket, PAYLOADS[index % PAYLOADS.length] ?? (() => undefined), over.signal),
      );
      const reaper = startReaper({ rate: RATE });
      await sleep(full ? FULL_MS : SHORT_MS);
      const ledger = await reaper.stop();
      const growth = sample(stack.loader.program.pid).residentBytes - memory;
      over.abort();
      const note = `${connected.reduce((sum, count) => sum + count(), 0)} connections`;
      const problems = growth > GROWTH_BYTES_MAX ? [`the loader grew by ${growth} bytes, ${note}`] : [];
      return await check({
        stack,
        ledger,
        note,
        problems,
        expected: { filtered: isExit, refused: () => false },
      });
    }).finally(() => over.abort());
  },
};

/** An exit of a short-lived process is filtered by default (src/core/filter/match.ts). */
const isExit = (status: number): boolean => (status & 0x7f) === 0;
