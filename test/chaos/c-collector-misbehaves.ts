// SPDX-License-Identifier: Apache-2.0
// The collector answers UNAVAILABLE, 429 with Retry-After, a partial success, 400, nothing, or half of an answer: over HTTP, then over
// gRPC. Every 50th record is permanently refused. It must be counted as refused, and every other record must arrive.
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../scripts/stack/program.ts';
import type { Protocol } from '../../scripts/stack/whodunit.ts';
import { FAULTS, type Fault, FaultyCollector, REFUSING } from './faulty-collector.ts';
import { REFUSED_CODE } from './ledger.ts';
import { startReaper } from './reap.ts';
import { check, type Result, type Scenario, sum } from './scenario.ts';
import { onStack, type Stack, type StackOptions } from './stack.ts';

const PROTOCOLS: readonly Protocol[] = ['http/protobuf', 'grpc'];
const RATE = 200;
const REFUSED_EVERY = 50;
const SHORT_MS = 800;
const FULL_MS = 15_000;
/** The longest pause between two attempts is 30 s, and the machine may be busy. */
const APPLIED_WITHIN_MS = 120_000;
/** The service aborts a request without an answer after this time. */
const TIMEOUT_MS = 1_000;

export const collectorMisbehaves: Scenario = {
  key: 'c',
  name: `the collector fails in ${FAULTS.length} ways, over ${PROTOCOLS.join(' and ')}`,
  withinMs: ({ full }) => (full ? 1_200_000 : 900_000),
  run: async ({ full }) => {
    const results: Result[] = [];
    for (const protocol of PROTOCOLS) results.push(await overOne(protocol, full ? FULL_MS : SHORT_MS));
    return results.reduce(sum);
  },
};

async function overOne(protocol: Protocol, faultMs: number): Promise<Result> {
  const proxy = await FaultyCollector.start();
  const options: StackOptions = {
    protocol,
    endpoints: (collector) => proxy.inFrontOf(collector),
    env: { OTEL_METRICS_EXPORTER: 'none', OTEL_EXPORTER_OTLP_TIMEOUT: String(TIMEOUT_MS) },
  };
  try {
    return await onStack(options, async (stack) => {
      const reaper = startReaper({ rate: RATE, refusedEvery: REFUSED_EVERY });
      for (const fault of FAULTS) {
        await applyFault(stack, proxy, 'no fault', 0);
        await applyFault(stack, proxy, fault, faultMs);
      }
      proxy.fault = 'no fault';
      const ledger = await reaper.stop();
      const expected = { filtered: () => false, refused: (status: number) => status === REFUSED_CODE << 8 };
      const result = await check({ stack, ledger, expected });
      return { ...result, problems: [...result.problems, ...(await complaints(stack, proxy, result, protocol))] };
    });
  } finally {
    proxy.stop();
  }
}

/** Applies a fault for `ms`, and until it affected a request. For a refusal: until the service has counted it. */
async function applyFault(stack: Stack, proxy: FaultyCollector, fault: Fault, ms: number): Promise<void> {
  const count = async () =>
    REFUSING.has(fault) ? (await stack.status())?.deaths.lost.export : (proxy.requests.get(fault) ?? 0);
  const before = await until('an answer of the service', APPLIED_WITHIN_MS, count);
  proxy.fault = fault;
  await sleep(ms);
  await until(
    `a request during the fault: ${fault}`,
    APPLIED_WITHIN_MS,
    async () => ((await count()) ?? 0) > before || undefined,
  );
}

async function complaints(stack: Stack, { early }: FaultyCollector, { refused }: Result, protocol: Protocol) {
  const counted = (await stack.status())?.deaths.lost.export;
  const found: string[] = [];
  if (early > 0) found.push(`${protocol}: ${early} requests arrived before Retry-After`);
  if (refused === 0) found.push(`${protocol}: no record was refused`);
  if (counted !== refused) found.push(`${protocol}: ${refused} records were refused, but /status has ${counted}`);
  return found;
}
