// SPDX-License-Identifier: Apache-2.0
// A record on one line, for logs: a file, the journal, a container's output. `whodunit show` prints the whole report, by the id.
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { SHORT_UID_CHARS } from '../history/entry.ts';
import { textOf } from '../page/values.ts';
import type { Attributes } from '../telemetry/attributes.ts';
import * as semconv from '../telemetry/semconv.ts';
import { joined } from '../words/quoted.ts';
import { visible } from '../words/visible.ts';
import { localTime, nearest, repetition } from './places.ts';

/** `2026-11-23 15:01:29.303293201 +00:00 ERROR web (pid 4242) was killed by … · service web · third time in 10 minutes · id 5e0d5f1a`. */
export function renderLine(record: ReadableLogRecord): string {
  const attributes = record.attributes as Attributes;
  const core = textOf(attributes[semconv.CORE_DUMP_LOCATION]);
  const parts = [
    `${localTime(record.hrTime)} ${(record.severityText ?? 'ERROR').padEnd(5)} ${String(record.body ?? '').replace(/\.$/, '')}`,
    nearest(record.resource.attributes as Attributes),
    repetition(attributes),
    core === null ? null : `core: ${core}`,
    `id ${textOf(attributes[semconv.LOG_RECORD_UID])?.slice(0, SHORT_UID_CHARS)}`,
  ];
  return `${visible(joined(parts))}\n`;
}
