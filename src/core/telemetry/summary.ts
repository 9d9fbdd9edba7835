// SPDX-License-Identifier: Apache-2.0
// The record for the aggregated terminations of one service in one minute: `whodunit.process.termination.summary` of
// docs/telemetry.md. core/filter/aggregate.ts decides which terminations are aggregated.
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { Aggregate } from '../filter/aggregate.ts';
import type { Host } from '../identity/host.ts';
import { shownName } from '../naming/program.ts';
import { hrTime, isoTime } from '../time.ts';
import { originName } from '../words/shares.ts';
import { duration } from '../words/units.ts';
import { visible } from '../words/visible.ts';
import type { Attributes } from './attributes.ts';
import { SCOPE } from './record.ts';
import { resourceValue, serviceLevel } from './resource.ts';
import * as semconv from './semconv.ts';
import { uidOf } from './uid.ts';

/** The same minute of the same service on the same host always has the same uid. `observedNs`: current time, ns since 1970. */
export function buildSummary(aggregated: Aggregate, host: Host, observedNs: bigint): ReadableLogRecord {
  const { count, byCause, bySender, severity } = aggregated;
  const resource = serviceLevel(aggregated.resource, host);
  const causes = [...byCause].sort(([, a], [, b]) => b - a);
  const attributes: Attributes = {
    [semconv.LOG_RECORD_UID]: uidOf(
      `${resource[semconv.HOST_ID] ?? resource[semconv.HOST_NAME]}/${aggregated.key}/${aggregated.startNs}`,
    ),
    [semconv.AGGREGATED_COUNT]: count,
    [semconv.AGGREGATED_FIRST_TIME]: isoTime(aggregated.firstNs),
    [semconv.AGGREGATED_LAST_TIME]: isoTime(aggregated.lastNs),
  };
  if (aggregated.command !== null) attributes[semconv.AGGREGATED_COMMAND] = visible(aggregated.command);
  if (aggregated.cgroup !== null) attributes[semconv.AGGREGATED_CGROUP] = aggregated.cgroup;
  // Summaries of the same service may differ in nothing else.
  if (aggregated.origin !== '') attributes[semconv.ORIGIN] = originName(aggregated.origin, host.userNames);
  if (aggregated.executable !== null) attributes[semconv.PROCESS_EXECUTABLE_PATH] = aggregated.executable;
  for (const [cause, times] of causes) attributes[`${semconv.AGGREGATED_BY_CAUSE}.${cause}`] = times;
  const senders = [...bySender].sort(([, a], [, b]) => b - a).map(([name, times]) => `${times} × ${name}`);
  if (senders.length > 0) attributes[semconv.AGGREGATED_SENDERS] = senders;
  const by = senders.length > 0 ? `; sent by ${senders.join(', ')}` : '';
  const list = causes.map(([cause, times]) => `${times} × ${cause}`).join(', ');
  const within = duration(aggregated.lastNs - aggregated.firstNs);
  return {
    eventName: semconv.EVENT_PROCESS_TERMINATION_SUMMARY,
    hrTime: hrTime(aggregated.lastNs),
    hrTimeObserved: hrTime(observedNs),
    severityNumber: severity.number,
    severityText: severity.text,
    body: visible(
      `${shownName(String(resource[semconv.SERVICE_NAME]))} terminated ${count} more ${count === 1 ? 'time' : 'times'} within ${within}: ${list}${by}.`,
    ),
    attributes: attributes as ReadableLogRecord['attributes'],
    droppedAttributesCount: 0,
    resource: resourceValue(resource),
    instrumentationScope: SCOPE,
  };
}
