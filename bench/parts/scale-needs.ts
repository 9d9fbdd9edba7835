// SPDX-License-Identifier: Apache-2.0
// Pure: what a fleet needs, from the measured figures. Only products and sums: what costs nothing here and grows otherwise is not in them.
import { type Figure, figure } from '../figures.ts';

const HOSTS = 10_000;
const HOUR_S = 3_600;
const DAY_S = 86_400;
/** The default interval of metrics. */
const METRICS_EVERY_S = 60;
/** Share of a processor that a gateway may use, so that the others have room while one is away. */
const BUSY_MAX = 0.5;
/** While one is restarted, another one answers. */
const GATEWAYS_MIN = 2;
/** Of the rate that was measured with one partition: Kafka catches up after an outage. */
const PARTITION_SHARE = 0.5;

interface Day {
  readonly id: 'usual' | 'bad';
  readonly title: string;
  /** Records of a host in an hour. */
  readonly perHostHour: number;
}

/** `bad`: on every host, one service terminates all day as often as it gets records by default (WHODUNIT_RECORDS_PER_MINUTE). */
const DAYS: readonly Day[] = [
  { id: 'usual', title: 'usual day', perHostHour: 10 },
  { id: 'bad', title: 'bad day', perHostHour: 600 },
];

/** What of all figures is used here. Throws if one is missing. */
export function needsFigures(measured: readonly Figure[]): Figure[] {
  const of = (id: string): number => {
    const value = measured.find((one) => one.id === `scale.${id}`)?.value;
    if (value === null || value === undefined) throw new Error(`scale.${id} was not measured`);
    return value;
  };
  return DAYS.flatMap((day) => needsOf(day, of));
}

function needsOf({ id, title, perHostHour }: Day, of: (id: string) => number): Figure[] {
  const rate = (HOSTS * perHostHour) / HOUR_S;
  const exports = HOSTS / METRICS_EVERY_S;
  /** Records in requests of their own: they cost most. */
  const gateway = (rate * of('alone.gzip.gateway') + exports * of('metrics.gateway.gzip')) / 1000;
  const gateways = Math.max(GATEWAYS_MIN, Math.ceil(gateway / BUSY_MAX));
  const partitions = Math.max(gateways, Math.ceil(rate / (of('backlog.rate') * PARTITION_SHARE)));
  const inBytes = rate * of('wire.alone.gzip') + exports * of('metrics.wire.gzip');
  const kafka = rate * of('alone.gzip.kafka_bytes');
  const one = (name: string, what: string, unit: Figure['unit'], value: number) =>
    figure(`scale.needs.${id}.${name}`, `${title}: ${what}`, unit, value);
  return [
    one('rate', 'records in a second', '/s', rate),
    one('in', 'into the gateways in a second, compressed', 'MB', inBytes / 1e6),
    one('gateway', 'processor time of all gateways', '%', gateway * 100),
    one('gateways', 'gateways with one processor each', 'count', gateways),
    one('behind', 'processor time of the collectors behind them', '%', (rate * of('alone.gzip.behind')) / 10),
    one('kafka', 'into Kafka in a second', 'MB', kafka / 1e6),
    one('kafka_day', 'in Kafka for a day', 'GB', (kafka * DAY_S) / 1e9),
    one('partitions', 'partitions', 'count', partitions),
    one('loki_in', 'into Loki in a second, as its limit counts', 'MB', (rate * of(`loki.${id}.received`)) / 1e6),
    one('loki_cpu', 'processor time of Loki', '%', (rate * of(`loki.${id}.cpu`)) / 10),
    one('loki_day', 'in Loki for a day', 'GB', (rate * of(`loki.${id}`) * DAY_S) / 1e9),
  ];
}
