// SPDX-License-Identifier: Apache-2.0
// The watcher's own health and losses, from /status of the running service, in sentences.
import type { HealthAddress } from '../../config/health-address.ts';
import type { HealthAnswer, HealthLine } from '../../core/page/answers.ts';
import { duration, size } from '../../core/words/units.ts';
import { fetchWatcher, type WatcherStatus } from '../health-client.ts';

const START = '`whodunit up` (`npm start` in the repository), or `sudo systemctl start whodunit`';

/** null: it has no health endpoint. Never rejects. */
export async function watcherHealth(address: HealthAddress | null): Promise<HealthAnswer> {
  if (address === null)
    return problem(
      'WHODUNIT_HEALTH_ADDR is off: the page cannot ask the service how it is. Set it, for both, to an address such as 127.0.0.1:9465.',
    );
  const answer = await fetchWatcher(address);
  if (answer.ok) return { lines: linesOf(answer.value) };
  return problem(
    `The service does not answer at ${address.host}:${address.port} (${answer.reason}): new terminations wait in the kernel. Start it with ${START}; if it has another WHODUNIT_HEALTH_ADDR, set it here, too.`,
  );
}

function problem(text: string): HealthAnswer {
  return { lines: [{ level: 'bad', text }] };
}

function linesOf(status: WatcherStatus): HealthLine[] {
  return [...watching(status), ...losses(status), ...queue(status), ...sending(status)];
}

function watching({ ready, reason, loader, deaths }: WatcherStatus): HealthLine[] {
  if (!ready)
    return [
      { level: 'bad', text: `Not watching: ${reason ?? 'no reason given'}. \`whodunit doctor\` says what to do.` },
    ];
  const what = loader === null ? '' : `, loader ${loader.version} on Linux ${loader.kernel}`;
  return [
    { level: 'ok', text: `Watching${what}.` },
    {
      level: 'ok',
      text: `${deaths.received} terminations received: ${deaths.reported} reported, ${deaths.aggregated} aggregated, ${deaths.filtered} filtered, ${deaths.pending} waiting.`,
    },
  ];
}

const REMEDIES = {
  kernel: 'the ring buffer was full: WHODUNIT_RING_BYTES makes it larger',
  loader: 'they could not be read: loader and service may be of different versions',
  queue: 'the disk queue was full or damaged: WHODUNIT_QUEUE_BYTES makes it larger',
  export: 'the collector rejected them: `whodunit doctor` shows why',
} as const;

function losses({ deaths, ring }: WatcherStatus): HealthLine[] {
  const stages = Object.entries(REMEDIES) as [keyof typeof REMEDIES, string][];
  const lost = stages.flatMap(([stage, remedy]): HealthLine[] =>
    deaths.lost[stage] === 0 ? [] : [{ level: 'bad', text: `${deaths.lost[stage]} lost in the ${stage}; ${remedy}.` }],
  );
  const facts: HealthLine[] =
    ring === null || ring.facts_lost === 0
      ? []
      : [{ level: 'bad', text: `${ring.facts_lost} facts lost: those terminations were reported without them.` }];
  return [...(lost.length === 0 ? [{ level: 'ok', text: 'No termination was lost.' } as const] : lost), ...facts];
}

function queue({ queue }: WatcherStatus): HealthLine[] {
  if (queue === null) return [];
  if (queue.error !== null) return [{ level: 'bad', text: `The disk queue: ${queue.error}` }];
  const age =
    queue.oldest_age_s === null ? '' : `, the oldest for ${duration(BigInt(Math.round(queue.oldest_age_s * 1e9)))}`;
  const text = `${queue.size} records in the disk queue${age}: ${size(queue.bytes)} of ${size(queue.bytes_max)}.`;
  return [{ level: queue.bytes * 10 > queue.bytes_max * 8 ? 'bad' : 'ok', text }];
}

function sending({ export: { logs } }: WatcherStatus): HealthLine[] {
  const { target, last_error: error, last_success: success } = logs;
  if (target === null) return [{ level: 'ok', text: 'Records are not sent: no collector is set.' }];
  if (error !== null)
    return [
      { level: 'bad', text: `Sending to ${target.endpoint} fails: ${error}. \`whodunit doctor\` says what to do.` },
    ];
  return [{ level: 'ok', text: `Sent to ${target.endpoint}${success === null ? '' : `, last at ${success}`}.` }];
}
