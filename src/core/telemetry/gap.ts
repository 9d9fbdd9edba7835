// SPDX-License-Identifier: Apache-2.0
// The record of a time in which no probe was attached: `whodunit.events.gap` of docs/telemetry.md. The loader says when that was.
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { Host } from '../identity/host.ts';
import { hrTime, isoTime } from '../time.ts';
import type { Gap } from '../wire/gap.ts';
import { duration } from '../words/units.ts';
import type { Attributes } from './attributes.ts';
import { SCOPE } from './record.ts';
import { resourceValue, selfResource } from './resource.ts';
import * as semconv from './semconv.ts';
import { uidOf } from './uid.ts';

/** The same gap always has the same uid. `observedNs`: current time, ns since 1970. */
export function buildGap(gap: Gap, bootId: string, host: Host, observedNs: bigint): ReadableLogRecord {
  const fromNs = gap.from_ns + gap.clock_offset_ns;
  const toNs = gap.time_ns + gap.clock_offset_ns;
  const attributes: Attributes = {
    [semconv.LOG_RECORD_UID]: uidOf(`${bootId}/gap/${gap.from_ns}/${gap.time_ns}`),
    [semconv.GAP_START_TIME]: isoTime(fromNs),
    [semconv.GAP_END_TIME]: isoTime(toNs),
  };
  return {
    eventName: semconv.EVENT_EVENTS_GAP,
    hrTime: hrTime(toNs),
    hrTimeObserved: hrTime(observedNs),
    severityNumber: 13,
    severityText: 'WARN',
    body: gapSentence(toNs - fromNs),
    attributes: attributes as ReadableLogRecord['attributes'],
    droppedAttributesCount: 0,
    resource: resourceValue(selfResource(host)),
    instrumentationScope: SCOPE,
  };
}

/** `ns`: how long it was. */
export function gapSentence(ns: bigint): string {
  return `No probe was attached for ${duration(ns)}, as the loader did not run: processes that terminated in this time may have no record, and how many is not known.`;
}
