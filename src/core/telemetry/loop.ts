// SPDX-License-Identifier: Apache-2.0
// The records of a loop: `whodunit.process.loop` of docs/telemetry.md. core/filter/loops.ts decides when there is one.
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { LoopNews } from '../filter/loops.ts';
import type { Host } from '../identity/host.ts';
import { hrTime, isoTime } from '../time.ts';
import { type LoopWords, loopSentence } from '../words/loop.ts';
import { originName } from '../words/shares.ts';
import { visible } from '../words/visible.ts';
import { attributesOf } from './attributes.ts';
import { SCOPE } from './record.ts';
import { resourceValue, serviceLevel } from './resource.ts';
import * as semconv from './semconv.ts';
import { uidOf } from './uid.ts';

const INFO = { number: 9, text: 'INFO' } as const;

/** Its uid is that of the loop and of how many records it had before. `observedNs`: current time, ns since 1970. */
export function buildLoop(news: LoopNews, host: Host, observedNs: bigint): ReadableLogRecord {
  const { loop, state, end } = news;
  const { about, aggregated } = loop;
  const id = uidOf(`${loop.first}/loop`);
  const isOver = state === 'ended' && end !== 'not_restarted';
  const severity = isOver ? INFO : about.severity;
  const attributes = attributesOf([
    [semconv.LOG_RECORD_UID, uidOf(`${id}/${loop.said}`)],
    [semconv.LOOP_ID, id],
    [semconv.LOOP_STATE, state],
    [semconv.LOOP_END, end],
    [semconv.LOOP_COUNT, loop.count],
    [semconv.LOOP_OUTCOMES, loop.outcomes.map(([outcome, times]) => `${times} × ${outcome}`)],
    [semconv.LOOP_FIRST_TIME, isoTime(BigInt(loop.firstAtNs))],
    [semconv.LOOP_DELAY, loop.gapMs / 1000],
    [semconv.LOOP_RESTARTER, about.restarter === null ? null : visible(about.restarter)],
    [semconv.CAUSE, about.cause],
    [semconv.TERMINATION_UID, about.uid],
    [semconv.SENDER_NAME, about.sender],
    [semconv.AGGREGATED_COUNT, aggregated === 0 ? null : aggregated],
    [semconv.AGGREGATED_COMMAND, loop.command === null ? null : visible(loop.command)],
    [semconv.AGGREGATED_CGROUP, about.cgroup],
    [semconv.ORIGIN, loop.origin === '' ? null : originName(loop.origin, host.userNames)],
    [semconv.PROCESS_EXECUTABLE_PATH, about.executable],
  ]);
  return {
    eventName: semconv.EVENT_PROCESS_LOOP,
    hrTime: hrTime(BigInt(loop.lastAtNs)),
    hrTimeObserved: hrTime(observedNs),
    severityNumber: severity.number,
    severityText: severity.text,
    body: visible(loopSentence(wordsOf(news))),
    attributes: attributes as ReadableLogRecord['attributes'],
    droppedAttributesCount: 0,
    resource: resourceValue(serviceLevel(about.resource, host)),
    instrumentationScope: SCOPE,
  };
}

function wordsOf({ loop, state, end }: LoopNews): LoopWords {
  const { count, outcomes, gapMs: delayMs, about } = loop;
  const { name, pid, restarter, isUnit } = about;
  const withinNs = BigInt(loop.lastNs) - BigInt(loop.firstNs);
  return { state, end, name, pid, count, withinNs, outcomes, restarter, delayMs, isUnit };
}
