// SPDX-License-Identifier: Apache-2.0
// The collector answers UNAVAILABLE, 429 with Retry-After, partial success, 400, not at all, or half: over HTTP, then over gRPC. What
// it refuses for good (each 50th death) must be refused by itself and be counted so; everything else must arrive.
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../scripts/stack/program.ts';
import type { Protocol } from '../../scripts/stack/whodunit.ts';
import { REFUSED_CODE } from './ledger.ts';
import { Misbehaving, MOODS, type Mood, REFUSING } from './misbehaving.ts';
import { startReaper } from './reap.ts';
import { judge, type Result, type Scenario, sum } from './scenario.ts';
import { onStack, type Stack, type StackOptions } from './stack.ts';

const PROTOCOLS: readonly Protocol[] = ['http/protobuf', 'grpc'];
const RATE = 200;
const REFUSED_EVERY = 50;
const SHORT_MS = 800;
const FULL_MS = 15_000;
/** The longest pause between two attempts is 30 s; the machine may have much else to do. */
const MET_WITHIN_MS = 120_000;
/** The service gives up a request that hangs after this time. */
const TIMEOUT_MS = 1_000;

export const collectorMisbehaves: Scenario = {
  key: 'c',
  name: `the collector misbehaves ${MOODS.length} times, over ${PROTOCOLS.join(' and ')}`,
  withinMs: ({ full }) => (full ? 1_200_000 : 900_000),
  run: async ({ full }) => {
    const results: Result[] = [];
    for (const protocol of PROTOCOLS) results.push(await overOne(protocol, full ? FULL_MS : SHORT_MS));
    return results.reduce(sum);
  },
};

async function overOne(protocol: Protocol, moodMs: number): Promise<Result> {
  const between = await Misbehaving.start();
  const options: StackOptions = {
    protocol,
    endpoints: (collector) => between.before(collector),
    env: { OTEL_METRICS_EXPORTER: 'none', OTEL_EXPORTER_OTLP_TIMEOUT: String(TIMEOUT_MS) },
  };
  try {
    return await onStack(options, async (stack) => {
      const reaper = startReaper({ rate: RATE, refusedEvery: REFUSED_EVERY });
      for (const mood of MOODS) {
        await meet(stack, between, 'good', 0);
        await meet(stack, between, mood, moodMs);
      }
      between.mood = 'good';
      const ledger = await reaper.stop();
      const expected = { filtered: () => false, refused: (status: number) => status === REFUSED_CODE << 8 };
      const result = await judge({ stack, ledger, expected });
      return { ...result, problems: [...result.problems, ...(await complaints(stack, between, result, protocol))] };
    });
  } finally {
    between.stop();
  }
}

/** In this mood for `ms`, and until a request has met it; one that refuses, until the service has heard of a refusal. */
async function meet(stack: Stack, between: Misbehaving, mood: Mood, ms: number): Promise<void> {
  const count = async () =>
    REFUSING.has(mood) ? (await stack.status())?.deaths.lost.export : (between.met.get(mood) ?? 0);
  const before = await until('an answer of the service', MET_WITHIN_MS, count);
  between.mood = mood;
  await sleep(ms);
  await until(`a request while it ${mood}`, MET_WITHIN_MS, async () => ((await count()) ?? 0) > before || undefined);
}

async function complaints(stack: Stack, { early }: Misbehaving, { refused }: Result, protocol: Protocol) {
  const counted = (await stack.status())?.deaths.lost.export;
  const found: string[] = [];
  if (early > 0) found.push(`${protocol}: ${early} requests came before their Retry-After`);
  if (refused === 0) found.push(`${protocol}: nothing was refused`);
  if (counted !== refused) found.push(`${protocol}: ${refused} were refused, /status says ${counted}`);
  return found;
}
