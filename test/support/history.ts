// SPDX-License-Identifier: Apache-2.0
// Records for the history, and a history of them on disk.
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { HistoryLimits } from '../../src/config/kinds.ts';
import type { AttributeValue } from '../../src/core/telemetry/attributes.ts';
import { SCOPE } from '../../src/core/telemetry/record.ts';
import { resourceValue } from '../../src/core/telemetry/resource.ts';
import { storeRecord } from '../../src/core/telemetry/stored.ts';
import { hrTime } from '../../src/core/time.ts';
import { openHistory } from '../../src/io/history/reader.ts';
import { History, type HistoryItem } from '../../src/io/history/writer.ts';
import { Log } from '../../src/io/log.ts';

export const DAY_MS = 86_400_000;

export interface Made {
  readonly uid?: string;
  readonly pid?: number;
  readonly timeMs?: number;
  readonly name?: string;
  readonly service?: string;
  readonly user?: string;
  readonly origin?: string;
  readonly eventName?: string;
  readonly body?: string;
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
}

/** A process killed by `killer`, unless `made` says otherwise. */
export function kept(made: Made = {}): HistoryItem {
  const { uid = randomUUID(), pid = 4242, timeMs = Date.now(), name = 'sleep', user = 'anna', origin = '1000 ' } = made;
  const record: ReadableLogRecord = {
    eventName: made.eventName ?? 'whodunit.process.termination',
    hrTime: hrTime(BigInt(timeMs) * 1_000_000n),
    hrTimeObserved: hrTime(BigInt(timeMs) * 1_000_000n),
    severityNumber: 17,
    severityText: 'ERROR',
    body: made.body ?? `${name} was killed by killer with SIGKILL`,
    attributes: {
      'log.record.uid': uid,
      'whodunit.cause': 'killed',
      'whodunit.signal.name': 'SIGKILL',
      'whodunit.signal.sender.kind': 'process',
      'whodunit.sender.name': 'killer',
      ...made.attributes,
    } as ReadableLogRecord['attributes'],
    droppedAttributesCount: 0,
    resource: resourceValue({
      'service.name': made.service ?? `unknown_service:${name}`,
      'process.pid': pid,
      'whodunit.process.name': name,
      'process.executable.path': `/usr/bin/${name}`,
      'process.owner': user,
    }),
    instrumentationScope: SCOPE,
  };
  return { uid, origin, record: storeRecord(record) };
}

export class HistoryOnDisk {
  readonly path = mkdtempSync(join(tmpdir(), 'whodunit-history-'));
  readonly lines: string[] = [];
  #writer: History | null = null;

  open(limits: Partial<HistoryLimits> = {}, directory = this.path): History {
    this.#writer?.close();
    const log = new Log((line) => this.lines.push(line));
    const full = { ageMs: 14 * DAY_MS, bytes: 64 << 20, ...limits };
    this.#writer = new History({ directory, limits: full, endpoint: 'http://collector:4318', log });
    return this.#writer;
  }

  read(): ReturnType<typeof openHistory> {
    return openHistory(this.path);
  }

  remove(): void {
    this.#writer?.close();
    rmSync(this.path, { recursive: true, force: true });
  }
}
