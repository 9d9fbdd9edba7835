// SPDX-License-Identifier: Apache-2.0
// Latency from a termination (the kernel timestamp in its record) to a real collector, at several rates, over both transports. The
// collector writes each request to a file before it answers. The measurement ends when this process has read it from the file, slightly
// after the answer.
import { setTimeout as sleep } from 'node:timers/promises';
import { startCollector } from '../../scripts/stack/collector.ts';
import { startWhodunit, type Whodunit } from '../../scripts/stack/whodunit.ts';
import { Arrivals, type Timed } from '../arrivals.ts';
import { type Figure, figure } from '../figures.ts';
import { LOAD, load } from '../program.ts';
import { quantile, quantileIfKnown } from '../statistics.ts';
import { drained, exportByDefault, type Part, settle } from './part.ts';

const PROTOCOLS = [
  { id: 'grpc', protocol: 'grpc', title: 'gRPC' },
  { id: 'http', protocol: 'http/protobuf', title: 'HTTP' },
] as const;
/** Terminations per second, and duration in seconds. */
const RATES = [
  { rate: 1, seconds: 40, quick: 3 },
  { rate: 100, seconds: 20, quick: 3 },
  { rate: 1_000, seconds: 15, quick: 2 },
] as const;
const QUANTILES = [
  { id: 'p50', title: 'p50', fraction: 0.5 },
  { id: 'p99', title: 'p99', fraction: 0.99 },
  { id: 'p999', title: 'p99.9', fraction: 0.999 },
] as const;
/** Until the connection to the collector is open and the code is compiled. */
const WARM_UP = { rate: 200, seconds: 1 };
const LAST_RECORDS_MS = 500;

export const latency: Part = async ({ quick, progress }) => {
  const figures: Figure[] = [];
  for (const [index, { id, protocol, title }] of PROTOCOLS.entries()) {
    const collector = await startCollector({ keep: 'at once' });
    try {
      const whodunit = await startWhodunit(exportByDefault(collector, protocol));
      try {
        await settle();
        await load(['storm', WARM_UP.rate, WARM_UP.seconds, 1]);
        for (const [step, { rate, seconds, quick: quickSeconds }] of RATES.entries()) {
          progress((index + step / RATES.length) / PROTOCOLS.length, `${title}, ${rate} terminations/s`);
          const latencies = await latenciesOf(collector.logsFilePath, whodunit, [
            'storm',
            rate,
            quick ? quickSeconds : seconds,
            1,
          ]);
          figures.push(...summarise(`latency.${id}.${rate}`, `${title}, ${rate} terminations/s`, latencies));
        }
      } finally {
        await whodunit.stop();
      }
    } finally {
      await collector.stop();
    }
  }
  return { figures };
};

/** Milliseconds from each termination of a load to its record in the file. `records`: as of Arrivals. Throws if a record did not arrive. */
export async function latenciesOf(
  path: string,
  whodunit: Whodunit,
  args: readonly (string | number)[],
  records?: (line: string) => readonly Timed[],
): Promise<number[]> {
  await drained(whodunit.at.socket);
  const arrivals = new Arrivals(path, records);
  const beganNs = BigInt(Date.now()) * 1_000_000n;
  const { count } = await load(args);
  await drained(whodunit.at.socket);
  await sleep(LAST_RECORDS_MS);
  const latencies = arrivals
    .stop()
    // Records of earlier terminations may still arrive.
    .filter(({ executable, terminatedNs }) => executable === LOAD && terminatedNs >= beganNs)
    .map(({ latencyMs }) => latencyMs);
  if (latencies.length < count)
    throw new Error(`${count} terminations of ${args.join(' ')}, but ${latencies.length} records arrived`);
  return latencies;
}

/** Returns the quantiles for which there are enough samples, and the maximum. */
function summarise(id: string, title: string, latencies: readonly number[]): Figure[] {
  const quantiles = QUANTILES.flatMap((one) => {
    const value = quantileIfKnown(latencies, one.fraction);
    return value === null ? [] : [figure(`${id}.${one.id}`, `${title}: ${one.title}`, 'ms', value)];
  });
  const note = `of ${latencies.length} terminations`;
  return [...quantiles, figure(`${id}.max`, `${title}: maximum`, 'ms', quantile(latencies, 1), note)];
}
