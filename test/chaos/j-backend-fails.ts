// SPDX-License-Identifier: Apache-2.0
// The backend answers HTTP 500, then INTERNAL, to every request during 100 terminations a second, and works again later. Neither answer
// says that a record is bad, so every record must arrive. Only the test's own processes are watched, so that the default queue is large
// enough, whatever else terminates on the machine meanwhile.
import { setTimeout as sleep } from 'node:timers/promises';
import { makeCgroup } from '../../scripts/stack/cgroup.ts';
import type { Protocol } from '../../scripts/stack/whodunit.ts';
import { FaultyCollector } from './faulty-collector.ts';
import { startReaper } from './reap.ts';
import { check, type Result, type Scenario, sum } from './scenario.ts';
import { onStack, type StackOptions } from './stack.ts';

const PROTOCOLS: readonly Protocol[] = ['http/protobuf', 'grpc'];
const RATE = 100;
/** The build before this scenario lost 66 of 8,861 records in this time. */
const SHORT_MS = 40_000;
const FULL_MS = 600_000;
/** Before the backend fails, and after it works again. */
const UP_MS = 2_000;
/** Longer than the longest pause between two attempts plus the time to send the queue. */
const SETTLED_WITHIN_MS = 300_000;

export const backendFails: Scenario = {
  key: 'j',
  name: 'the backend fails (HTTP 500, INTERNAL), and works again',
  withinMs: ({ full }) => (full ? 2_000_000 : 800_000),
  run: async ({ full }) => {
    const results: Result[] = [];
    for (const protocol of PROTOCOLS) results.push(await overOne(protocol, full ? FULL_MS : SHORT_MS));
    return results.reduce(sum);
  },
};

async function overOne(protocol: Protocol, failsMs: number): Promise<Result> {
  const proxy = await FaultyCollector.start();
  const cgroup = makeCgroup('backend-fails', 'v2');
  const options: StackOptions = {
    protocol,
    scope: cgroup.path,
    endpoints: (collector) => proxy.inFrontOf(collector),
    env: { OTEL_METRICS_EXPORTER: 'none' },
  };
  try {
    return await onStack(options, async (stack) => {
      const reaper = startReaper({ rate: RATE, cgroup });
      await sleep(UP_MS);
      proxy.fault = 'fails';
      await sleep(failsMs);
      const lost = (await stack.status())?.deaths.lost.export;
      const failed = proxy.requests.get('fails') ?? 0;
      proxy.fault = 'no fault';
      await sleep(UP_MS);
      const ledger = await reaper.stop();
      const note = `${protocol}: failed for ${failsMs / 1000} s, ${failed} requests, ${lost} records rejected`;
      const problems = failed === 0 ? [`${protocol}: no request arrived while the backend failed`] : [];
      return await check({ stack, ledger, note, problems, withinMs: SETTLED_WITHIN_MS });
    });
  } finally {
    proxy.stop();
    await cgroup.remove();
  }
}
