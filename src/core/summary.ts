// SPDX-License-Identifier: Apache-2.0
// The record that stands for the folded deaths of one service in one minute: `whodunit.process.termination.summary` of
// docs/telemetry.md. Which deaths are folded is left to crash-loop.ts.
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { Folded } from './crash-loop.ts';
import { type Attributes, serviceLevel } from './enrich.ts';
import { resourceValue, SCOPE, uidOf } from './record.ts';
import * as semconv from './semconv.ts';
import { duration, hrTime, isoTime } from './time.ts';

/** The summary; the same minute of the same service on the same host always has the same uid. `observedNs`: now, ns since 1970. */
export function buildSummary(folded: Folded, observedNs: bigint): ReadableLogRecord {
  const { count, byCause, severity } = folded;
  const resource = serviceLevel(folded.resource);
  const causes = [...byCause].sort(([, a], [, b]) => b - a);
  const attributes: Attributes = {
    [semconv.LOG_RECORD_UID]: uidOf(
      `${resource[semconv.HOST_ID] ?? resource[semconv.HOST_NAME]}/${folded.key}/${folded.startNs}`,
    ),
    [semconv.FOLDED_COUNT]: count,
    [semconv.FOLDED_FIRST_TIME]: isoTime(folded.firstNs),
  };
  for (const [cause, times] of causes) attributes[`${semconv.FOLDED_BY_CAUSE}.${cause}`] = times;
  const list = causes.map(([cause, times]) => `${times} × ${cause}`).join(', ');
  const within = duration(folded.lastNs - folded.firstNs);
  return {
    eventName: semconv.EVENT_PROCESS_TERMINATION_SUMMARY,
    hrTime: hrTime(folded.lastNs),
    hrTimeObserved: hrTime(observedNs),
    severityNumber: severity.number,
    severityText: severity.text,
    body: `${resource[semconv.SERVICE_NAME]} ended ${count} more ${count === 1 ? 'time' : 'times'} within ${within}: ${list}.`,
    attributes: attributes as ReadableLogRecord['attributes'],
    droppedAttributesCount: 0,
    resource: resourceValue(resource),
    instrumentationScope: SCOPE,
  };
}
