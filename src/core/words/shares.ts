// SPDX-License-Identifier: Apache-2.0
// Who fills what is limited, and what that costs them: one sentence for /status and the log.
import { originParts } from '../identity/origin.ts';
import { isContained, placementOf, podUidOf } from '../identity/placement.ts';
import { type Displaced, type OriginKey, OTHER_ORIGINS } from '../shares.ts';
import type { LimitValue } from '../telemetry/semconv.ts';
import { visible } from './visible.ts';

/** Origins that /status lists for each limit, those that lost most. */
const ORIGINS_SHOWN_MAX = 5;

/** What one origin lost because it held most of something that is full. */
export interface Loss {
  readonly origin: string;
  readonly count: number;
}

/** The losses of one limit, greatest first. At least one. */
export interface Exceeded {
  readonly limit: LimitValue;
  readonly count: number;
  readonly losses: readonly Loss[];
}

/** How much each origin lost, by limit, since the service started. undefined: nothing is limited there. */
export type DisplacedByLimit = Readonly<Partial<Record<LimitValue, Displaced | undefined>>>;

/** How much all of them lost. */
export function totalOf(displaced: DisplacedByLimit): number {
  return Object.values(displaced).reduce((sum, one) => sum + (one?.total ?? 0), 0);
}

/** The limits at which an origin lost something. `userNames`: the host's. */
export function exceeded(displaced: DisplacedByLimit, userNames: ReadonlyMap<number, string>): Exceeded[] {
  return (Object.keys(displaced) as LimitValue[]).flatMap((limit) => {
    const counts = new Map<string, number>();
    for (const [origin, count] of displaced[limit] ?? []) {
      const name = originName(origin, userNames);
      counts.set(name, (counts.get(name) ?? 0) + count);
    }
    if (counts.size === 0) return [];
    const losses = Array.from(counts, ([origin, count]) => ({ origin, count })).sort((a, b) => b.count - a.count);
    return [{ limit, count: losses.reduce((sum, { count }) => sum + count, 0), losses }];
  });
}

/** The origin for people: `nobody in cron.service`. `userNames`: the host's. */
export function originName(origin: OriginKey, userNames: ReadonlyMap<number, string>): string {
  if (origin === OTHER_ORIGINS) return 'other origins';
  const { uid, place } = originParts(origin);
  const placement = placementOf({ cgroup: place, cgroup_claimed: 0 });
  const { containerId, containerName } = placement;
  const last = place.split('/').at(-1) ?? '';
  const pod = podUidOf(last);
  // The host's /etc/passwd does not apply in a container.
  const contained = pod !== null || isContained(placement);
  const user = uid === 0 ? 'root' : ((contained ? null : userNames.get(uid)) ?? `uid ${uid}`);
  const id = containerId?.slice(0, CONTAINER_ID_CHARS);
  const where = pod !== null ? `pod ${pod}` : (id ?? containerName) ? `container ${id ?? containerName}` : last;
  const unnamed = where.startsWith('#') ? `cgroup ${where.slice(1)}` : where;
  return visible(unnamed === '' ? user : `${user} in ${unnamed}`);
}

const CONTAINER_ID_CHARS = 12;

/** `nobody in cron.service held most of the full disk queue (WHODUNIT_QUEUE_BYTES): 3988 of the oldest records were dropped.` */
export function exceededSentence({ limit, count, losses }: Exceeded): string {
  const [most] = losses;
  const others = losses.length - 1;
  const who = `${most?.origin}${others === 0 ? '' : ` (and ${others} more)`}`;
  return `${who} ${HOLDS[limit]}: ${LOST[limit](count)}.`;
}

/** As /status shows it. */
export function exceededStatus(one: Exceeded): object {
  return {
    limit: one.limit,
    count: one.count,
    sentence: exceededSentence(one),
    origins: one.losses.slice(0, ORIGINS_SHOWN_MAX),
  };
}

const HOLDS: Readonly<Record<LimitValue, string>> = {
  queue_bytes: 'held most of the full disk queue (WHODUNIT_QUEUE_BYTES)',
  incidents: 'had most of the incidents that are remembered',
  metric_services: 'had most of the services that the metrics distinguish',
  metric_series: 'had most of the series of a service',
  open_minutes: 'had most of the services whose records are counted for WHODUNIT_RECORDS_PER_MINUTE',
  recent_services: 'had most of the services whose terminations of the last 10 minutes are counted',
  loops: 'had most of the programs that may be in a loop',
  requests: 'had most of the commands that are remembered for the terminations that they ask for',
  restarts: 'had most of the terminations that are remembered for restarts',
  spans: 'had most of the spans that wait',
  stdout_bytes: 'had most of the text that waits for the reader of stdout',
};

const LOST: Readonly<Record<LimitValue, (count: number) => string>> = {
  queue_bytes: (count) => `${count} of the oldest records were dropped`,
  incidents: (count) => `the members of ${count} were reported early, in several records`,
  metric_services: (count) => `${count} terminations were counted under the host alone`,
  metric_series: (count) => `${count} terminations were counted under otel.metric.overflow`,
  open_minutes: (count) => `${count} minutes ended early, which means more records and summaries`,
  recent_services: (count) => `${count} counts start again with 1`,
  loops: (count) => `${count} loops are not followed any more`,
  requests: (count) => `${count} commands were forgotten before their 10 minutes were over`,
  restarts: (count) => `restarts after ${count} terminations are not reported`,
  spans: (count) => `${count} spans were dropped`,
  stdout_bytes: (count) => `${count} records were sent but not printed`,
};
