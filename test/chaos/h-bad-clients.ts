// SPDX-License-Identifier: Apache-2.0
// Twenty clients of the loader's socket that read nothing, or send garbage, while 500 a second die. They connect again whenever they
// are thrown out. The service must not notice, and the loader must not grow.
//
// Here the filtering is the default one, so that a part of the terminations is filtered. None is aggregated
// into a summary, which would not say whom it is about.
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { startReaper } from './reap.ts';
import { sample } from './sample.ts';
import { judge, type Scenario } from './scenario.ts';
import { onStack } from './stack.ts';

const CLIENTS = 20;
const RATE = 500;
const SHORT_MS = 5_000;
const FULL_MS = 60_000;
const AGAIN_MS = 20;
/** The buffers of twenty sessions and what the Go runtime keeps around them. */
const GROWTH_BYTES_MAX = 64 * 2 ** 20;

/** What the rude ones say; undefined: nothing at all, and they do not read. */
const WORDS: readonly (() => Buffer | undefined)[] = [
  () => undefined,
  () => randomBytes(65_536),
  () => Buffer.from(`{"v":1,"type":"ack","seq":"${2n ** 63n}"}\n`),
  () => Buffer.from('{"v":1,"type":"ack","seq":"-1"}\n{"v":2}\n[]\nnull\n'),
  () => Buffer.from(`{"v":1,"type":"ack","seq":"${'9'.repeat(200_000)}`),
];

/** Pesters the socket until it is stopped. Gives how often it was connected. */
function pester(socket: string, word: () => Buffer | undefined, until: AbortSignal): () => number {
  let connections = 0;
  const again = (): void => {
    if (until.aborted) return;
    const said = word();
    const client = connect(socket, () => {
      connections += 1;
      if (said !== undefined) client.write(said);
    });
    client.pause();
    // Each client that sends also reads, or it would not see that it was disconnected.
    if (said !== undefined) client.resume();
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
        pester(stack.at.socket, WORDS[index % WORDS.length] ?? (() => undefined), over.signal),
      );
      const reaper = startReaper({ rate: RATE });
      await sleep(full ? FULL_MS : SHORT_MS);
      const ledger = await reaper.stop();
      const growth = sample(stack.loader.program.pid).residentBytes - memory;
      over.abort();
      const note = `${connected.reduce((sum, count) => sum + count(), 0)} connections`;
      const problems = growth > GROWTH_BYTES_MAX ? [`the loader grew by ${growth} bytes, ${note}`] : [];
      return await judge({
        stack,
        ledger,
        note,
        problems,
        expected: { filtered: isExit, refused: () => false },
      });
    }).finally(() => over.abort());
  },
};

/** An exit of a short life is filtered by default (src/core/filter/match.ts). */
const isExit = (status: number): boolean => (status & 0x7f) === 0;
