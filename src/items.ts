// SPDX-License-Identifier: Apache-2.0
// The items of records that report several terminations, and the time at which something was observed.
import type { Aggregate } from './core/filter/aggregate.ts';
import type { Part } from './core/filter/incident.ts';
import type { LoopNews } from './core/filter/loops.ts';
import type { Host } from './core/identity/host.ts';
import { OTHER_ORIGINS } from './core/shares.ts';
import { buildGap } from './core/telemetry/gap.ts';
import { buildIncident } from './core/telemetry/incident.ts';
import { buildLoop } from './core/telemetry/loop.ts';
import { LOG_RECORD_UID } from './core/telemetry/semconv.ts';
import { storeRecord } from './core/telemetry/stored.ts';
import { buildSummary } from './core/telemetry/summary.ts';
import type { Gap } from './core/wire/gap.ts';
import type { Item } from './io/queue/queue.ts';

interface WallClock {
  /** ms since 1970. */
  readonly wallMs: () => number;
}

export function incidentItem(part: Part, clock: WallClock): Item {
  const record = buildIncident(part, observedAt(BigInt(part.members.lastNs), clock));
  const uid = String(record.attributes[LOG_RECORD_UID]);
  return { uid, origin: part.incident.origin, kind: 'summary', endedMs: clock.wallMs(), record: storeRecord(record) };
}

export function loopItem(news: LoopNews, host: Host, clock: WallClock): Item {
  const record = buildLoop(news, host, observedAt(BigInt(news.loop.lastAtNs), clock));
  const uid = String(record.attributes[LOG_RECORD_UID]);
  return { uid, origin: news.loop.origin, kind: 'summary', endedMs: clock.wallMs(), record: storeRecord(record) };
}

export function summaryItem(aggregate: Aggregate, host: Host, clock: WallClock): Item {
  const record = buildSummary(aggregate, host, observedAt(aggregate.lastNs, clock));
  const uid = String(record.attributes[LOG_RECORD_UID]);
  // Delivery time of a summary is measured from its creation.
  return { uid, origin: aggregate.origin, kind: 'summary', endedMs: clock.wallMs(), record: storeRecord(record) };
}

export function gapItem(gap: Gap, bootId: string, host: Host, clock: WallClock): Item {
  const endedNs = gap.time_ns + gap.clock_offset_ns;
  const record = buildGap(gap, bootId, host, observedAt(endedNs, clock));
  const uid = String(record.attributes[LOG_RECORD_UID]);
  return {
    uid,
    origin: OTHER_ORIGINS,
    kind: 'summary',
    endedMs: Number(endedNs / 1_000_000n),
    record: storeRecord(record),
  };
}

/** The current time in ns since 1970, but never before the event: the wall clock is in whole milliseconds. */
export function observedAt(eventNs: bigint, { wallMs }: WallClock): bigint {
  const nowNs = BigInt(wallMs()) * 1_000_000n;
  return nowNs > eventNs ? nowNs : eventNs;
}
