// SPDX-License-Identifier: Apache-2.0
// What the gateway with Kafka takes from the hosts of a fleet, and what it costs; and whether a record is lost while its parts are killed.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GatewayStack } from '../../scripts/stack/gateway.ts';
import { until } from '../../scripts/stack/program.ts';
import { type Fleet, startFleet } from '../../scripts/stack/simulated-hosts.ts';
import { Arrived } from '../arrived.ts';
import { type Figure, figure } from '../figures.ts';
import { cpuNs } from '../program.ts';
import type { Run } from './part.ts';
import { type Load, startBacklog, startEven } from './scale-load.ts';
import { COMPRESSIONS, type Compression, compressWith } from './scale-wire.ts';

const HOSTS = 500;
const HOSTS_QUICK = 50;
const SERVICES = 3;
/** Of all hosts together, each record alone in a request. */
const PER_SECOND = 500;
const SECONDS = 30;
const SECONDS_QUICK = 5;
const WARM_UP_MS = 10_000;
/** How long a killed part is away, and how long it runs before the next one is killed. */
const AWAY_MS = 5_000;
const BETWEEN_MS = 5_000;
const ARRIVES_WITHIN_MS = 300_000;
const POLL_MS = 50;
const TOPIC = 'whodunit_logs';
/** Queues of hundreds of hosts on one disk would wait for it, as no host does. */
const IN_MEMORY = '/dev/shm';

type Program = 'gateway' | 'kafka' | 'behind' | 'hosts';
const PROGRAMS: Readonly<Record<Program, string>> = {
  gateway: 'the gateway',
  kafka: 'Kafka',
  behind: 'the collector behind it',
  hosts: 'the hosts',
};

export async function gatewayFigures(stack: GatewayStack, { quick, progress }: Run): Promise<Figure[]> {
  const seconds = quick ? SECONDS_QUICK : SECONDS;
  const arrived = new Arrived(stack.backend.logsFilePath);
  const figures = [figure('scale.hosts', 'simulated hosts', 'count', quick ? HOSTS_QUICK : HOSTS)];
  for (const [index, compression] of COMPRESSIONS.entries()) {
    progress(index * 0.2, `one at a time, compression ${compression}`);
    const title = `alone in a request, compression ${compression}`;
    await withFleet(stack, compression, quick, async (fleet) => {
      const measured = await measure(stack, fleet, arrived, startEven(fleet, PER_SECOND), seconds);
      figures.push(...figuresOf(`alone.${compression}`, title, measured));
    });
  }
  await withFleet(stack, 'none', quick, async (fleet) => {
    progress(0.4, 'as much as it takes');
    const measured = await measure(stack, fleet, arrived, startBacklog(fleet), seconds);
    figures.push(...figuresOf('backlog', 'from a backlog', measured));
    figures.push(figure('scale.gateway.memory', 'memory of the gateway, at most', 'MB', peakMB(stack)));
    progress(0.6, 'while its parts are killed');
    figures.push(...(await outages(stack, fleet, arrived)));
  });
  return figures;
}

/** With hosts that have already sent for some seconds. */
async function withFleet(
  { port }: GatewayStack,
  compression: Compression,
  quick: boolean,
  work: (fleet: Fleet) => Promise<void>,
): Promise<void> {
  compressWith(compression);
  const count = quick ? HOSTS_QUICK : HOSTS;
  const fleet = await startFleet({ count, port, services: SERVICES, parent: IN_MEMORY });
  try {
    const warmUp = startEven(fleet, PER_SECOND);
    await sleep(quick ? 0 : WARM_UP_MS);
    await warmUp.stop();
    await until('every answer', ARRIVES_WITHIN_MS, () => fleet.waiting() === 0 || undefined, fleet.output);
    await sleep(BETWEEN_MS);
    await work(fleet);
  } finally {
    await fleet.stop();
  }
}

interface Measured {
  readonly perSecond: number;
  /** Processor time for 1,000 terminations, s. */
  readonly cpu: Readonly<Record<Program, number>>;
  /** Of a record in Kafka. */
  readonly kafkaBytes: number;
}

/** Until everything that was reported has arrived. */
async function measure(
  stack: GatewayStack,
  fleet: Fleet,
  arrived: Arrived,
  load: Load,
  seconds: number,
): Promise<Measured> {
  const start = performance.now();
  const earlier = times(stack);
  const bytes = stack.kafka.storedBytes(TOPIC);
  await sleep(seconds * 1000);
  await load.stop();
  await allArrived(fleet, arrived, load.uids);
  const later = times(stack);
  const { length } = load.uids;
  const perThousand = (program: Program) => (later[program] - earlier[program]) / 1e9 / (length / 1000);
  return {
    perSecond: (length / (performance.now() - start)) * 1000,
    cpu: {
      gateway: perThousand('gateway'),
      kafka: perThousand('kafka'),
      behind: perThousand('behind'),
      hosts: perThousand('hosts'),
    },
    kafkaBytes: (stack.kafka.storedBytes(TOPIC) - bytes) / length,
  };
}

/** Processor time so far, ns. The hosts are in this process. */
function times({ gateway, kafka, behind }: GatewayStack): Record<Program, number> {
  const { user, system } = process.cpuUsage();
  return {
    gateway: cpuNs(gateway.program.pid),
    kafka: cpuNs(kafka.program.pid),
    behind: cpuNs(behind.program.pid),
    hosts: (user + system) * 1000,
  };
}

/** Waits until these have arrived, and the hosts know it. */
async function allArrived(fleet: Fleet, arrived: Arrived, uids: readonly string[]): Promise<void> {
  const have = async () => {
    arrived.read();
    if (fleet.waiting() === 0 && arrived.hasAll(uids)) return true;
    await sleep(POLL_MS);
    return undefined;
  };
  await until(
    'every record',
    ARRIVES_WITHIN_MS,
    have,
    () => `${JSON.stringify(arrived.compare(uids))}\n${fleet.output()}`,
  );
}

/** The largest resident size of the gateway so far. */
function peakMB({ gateway }: GatewayStack): number {
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${gateway.program.pid}/status`, 'utf8'))?.[1];
  return (Number(kilobytes) * 1024) / 1e6;
}

function figuresOf(id: string, title: string, { perSecond, cpu, kafkaBytes }: Measured): Figure[] {
  return [
    figure(`scale.${id}.rate`, `${title}: terminations in a second`, '/s', perSecond),
    ...(Object.keys(PROGRAMS) as Program[]).map((program) =>
      figure(`scale.${id}.${program}`, `${title}: processor time of ${PROGRAMS[program]} for 1,000`, 's', cpu[program]),
    ),
    figure(`scale.${id}.kafka_bytes`, `${title}: a record in Kafka`, 'B', kafkaBytes),
  ];
}

/** Each part is killed while the hosts report, and comes back. */
async function outages(stack: GatewayStack, fleet: Fleet, arrived: Arrived): Promise<Figure[]> {
  const load = startEven(fleet, PER_SECOND);
  for (const part of [stack.kafka, stack.gateway, stack.behind]) {
    await sleep(BETWEEN_MS);
    await part.crash();
    await sleep(AWAY_MS);
    await part.restart();
  }
  await load.stop();
  const start = performance.now();
  // A lost record never comes. Then the figure says how many are lost.
  await allArrived(fleet, arrived, load.uids).catch((error: Error) => console.error(error.message));
  const { length } = load.uids;
  const { missing, copies } = arrived.compare(load.uids);
  const seconds = (performance.now() - start) / 1000;
  return [
    figure('scale.outages.terminations', 'terminations while Kafka, gateway and collector are killed', 'count', length),
    figure('scale.outages.lost', 'of these, lost', 'count', missing),
    figure('scale.outages.copies', 'of these, arrived twice', '%', (copies / length) * 100),
    figure('scale.outages.rest', 'from the last restart until all had arrived', 's', seconds),
  ];
}
