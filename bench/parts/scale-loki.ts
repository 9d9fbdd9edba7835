// SPDX-License-Identifier: Apache-2.0
// What Loki keeps of a termination: of hosts that have few, so that a chunk has few records, and of a crash loop, so that chunks are full.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Loki, startLoki } from '../../scripts/stack/loki.ts';
import { freePorts, until } from '../../scripts/stack/program.ts';
import { startShipped } from '../../scripts/stack/shipped.ts';
import { startFleet } from '../../scripts/stack/simulated-hosts.ts';
import { type Figure, figure } from '../figures.ts';
import { cpuNs } from '../program.ts';
import type { Run } from './part.ts';
import { startEven } from './scale-load.ts';
import { compressWith } from './scale-wire.ts';

/** Below what Loki accepts of a tenant by default: 4 MB in a second. */
const PER_SECOND = 300;
const ARRIVES_WITHIN_MS = 120_000;

interface Day {
  readonly id: string;
  readonly title: string;
  readonly hosts: number;
  readonly services: number;
  /** Of each host. */
  readonly terminations: number;
}

/** A chunk is written after 30 minutes without a record, or 2 hours: what comes meanwhile of a service of a host is in one. */
const DAYS: readonly Day[] = [
  { id: 'usual', title: 'three or four of a service to a chunk', hosts: 500, services: 3, terminations: 10 },
  { id: 'bad', title: '1,000 of a service to a chunk', hosts: 8, services: 1, terminations: 1_000 },
];

export async function lokiFigures({ quick, progress }: Run): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const [index, day] of DAYS.entries()) {
    progress(index / DAYS.length, `Loki: ${day.title}`);
    figures.push(...(await store(quick ? { ...day, terminations: Math.ceil(day.terminations / 10) } : day)));
  }
  return figures;
}

async function store({ id, title, hosts, services, terminations }: Day): Promise<Figure[]> {
  const stopped: (() => Promise<unknown>)[] = [];
  try {
    const loki = await startLoki(true);
    stopped.push(loki.stop);
    const [port = 0] = await freePorts(1);
    const env = { LOKI: loki.url, OTLP_GRPC_LISTEN: `0.0.0.0:${port}` };
    const collector = await startShipped(['collector', 'backends/self-hosted'], env);
    stopped.push(collector.stop);
    compressWith('none');
    const fleet = await startFleet({ count: hosts, port, services });
    stopped.push(fleet.stop);
    const total = hosts * terminations;
    const cpu = cpuNs(loki.program.pid);
    const load = startEven(fleet, PER_SECOND);
    await sleep((total / PER_SECOND) * 1000);
    await load.stop();
    const { length } = load.uids;
    const diagnostics = () => `${fleet.output()}\n${collector.program.output()}\n${loki.output()}`;
    await until('the answers of Loki', ARRIVES_WITHIN_MS, () => fleet.waiting() === 0 || undefined, diagnostics);
    const bytes = await loki.storedBytes();
    const took = (cpuNs(loki.program.pid) - cpu) / 1e9;
    return [
      figure(`scale.loki.${id}`, `in Loki, ${title}`, 'B', bytes / length),
      figure(
        `scale.loki.${id}.received`,
        `as Loki counts what it receives, ${title}`,
        'B',
        (await received(loki)) / length,
      ),
      figure(`scale.loki.${id}.cpu`, `processor time of Loki for 1,000, ${title}`, 's', took / (length / 1000)),
    ];
  } finally {
    for (const stop of stopped.toReversed()) await stop();
  }
}

/** What its limit of a tenant counts. */
async function received({ url }: Loki): Promise<number> {
  const page = await (await fetch(`${url}/metrics`)).text();
  const values = page.matchAll(
    /^loki_distributor_(?:bytes|structured_metadata_bytes)_received_total\{[^}]*\} (\S+)$/gm,
  );
  return Array.from(values, ([, value]) => Number(value)).reduce((sum, one) => sum + one, 0);
}
