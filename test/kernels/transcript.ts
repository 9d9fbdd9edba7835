// SPDX-License-Identifier: Apache-2.0
// Parses the console output of a virtual machine (test/kernels/vm): the truth about each case, and the records that the stages of the
// service make of the lines of the loader.
import { readFileSync } from 'node:fs';
import { JsonLogsSerializer } from '@opentelemetry/otlp-transformer';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { type LogRecord, logRecords } from '../../scripts/stack/otlp-file.ts';
import { type Circumstances, conclude } from '../../src/core/conclude.ts';
import { Seen } from '../../src/core/filter/memory.ts';
import type { Hello, LoaderStatus } from '../../src/core/wire/event.ts';
import { Decoder } from '../../src/core/wire/wire.ts';
import type { Death } from '../deaths/truth.ts';
import { circumstances } from '../support/circumstances.ts';

export interface Transcript {
  /** null: the init did not begin. */
  readonly runs: Runs | null;
  readonly hello: Hello | null;
  readonly status: LoaderStatus | null;
  /** What `whodunit-loader check` printed. */
  readonly check: string;
  /** What `whodunit-loader calibrate` found, each time, on a kernel without BTF. */
  readonly calibrated: readonly Calibration[];
  /** Where the kernel's own types have these fields. null: it was built without, or they are not hidden. */
  readonly described: Readonly<Record<string, number>> | null;
  /** Starts of the loader where something forbids what it needs, by what confined it. */
  readonly confined: ReadonlyMap<string, ConfinedStart>;
  readonly truths: ReadonlyMap<string, readonly Death[]>;
  /** The processes of each program of crashes.ts, by its id. */
  readonly crashed: ReadonlyMap<string, readonly number[]>;
  readonly storms: readonly Storm[];
  /** Terminations of failed attempts that were repeated. They belong to no case. */
  readonly discarded: readonly Death[];
  /** Cases that could not run, and why. The empty name: the machine itself failed. */
  readonly failures: ReadonlyMap<string, string>;
  readonly records: readonly LogRecord[];
  /** Lines of the loader that could not be read. */
  readonly unreadable: readonly string[];
  /** Terminations that the loader sent twice. The service drops the second event, although it may be the complete one. */
  readonly repeated: readonly string[];
  /** Whether the machine ran all cases. */
  readonly ended: boolean;
}

export interface Calibration {
  readonly output: string;
  /** The file that was written; null: there is none. */
  readonly found: {
    readonly offsets: Readonly<Record<string, number>>;
    readonly missing: readonly string[] | null;
  } | null;
}

export interface Runs {
  /** The ids of the cases. */
  readonly cases: readonly string[];
  /** How often each program of crashes.ts crashes. */
  readonly times: number;
  /** Whether the loader is started under AppArmor and lockdown. */
  readonly confines: boolean;
  readonly storms: boolean;
}

/** What became of the processes of a storm (test/kernels/vm/storm.go). */
export interface Storm {
  readonly name: string;
  readonly happened: number;
  readonly reported: number;
  /** Records that no termination explains: another process, or another status than its parent got. */
  readonly wrong: number;
  readonly absent: number;
  /** Those of the absent ones that terminated in a gap that was reported. */
  readonly in_gap: number;
  readonly gaps: number;
  /** What the loader counted as lost meanwhile. */
  readonly lost: number;
}

/** One start (test/kernels/vm/confined.go). */
export interface ConfinedStart {
  /** The outputs of `check` and of `run`, and the exit code of `run`. */
  readonly check: string;
  readonly run: string;
  readonly code: number;
  readonly served: boolean;
  /** Pins that a start which failed has left. */
  readonly left: readonly string[] | null;
}

const SEEN_MAX = 100_000;

export function readTranscript(path: string, arch: string): Transcript {
  const truths = new Map<string, readonly Death[]>();
  const crashed = new Map<string, readonly number[]>();
  const confined = new Map<string, ConfinedStart>();
  const storms: Storm[] = [];
  const discarded: Death[] = [];
  const failures = new Map<string, string>();
  const wire = new Wire(arch);
  const calibrated: Transcript['calibrated'][number][] = [];
  let runs: Runs | null = null;
  let described: Transcript['described'] = null;
  let check = '';
  let ended = false;
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [, kind, text] = /^@(\w+) (.*?)\r?$/.exec(line) ?? [];
    if (kind === undefined || text === undefined) continue;
    if (kind === 'wire') wire.line(text);
    else if (kind === 'runs') runs = JSON.parse(text);
    else if (kind === 'check') check = JSON.parse(text);
    else if (kind === 'calibrated') calibrated.push(JSON.parse(text));
    else if (kind === 'described') described = JSON.parse(text);
    else if (kind === 'confined') confined.set(JSON.parse(text).by, JSON.parse(text));
    else if (kind === 'truth') {
      const truth = JSON.parse(text);
      truths.set(truth.case, truth.deaths);
      discarded.push(...truth.discarded);
    } else if (kind === 'crashed') crashed.set(JSON.parse(text).id, JSON.parse(text).pids);
    else if (kind === 'storm') storms.push(JSON.parse(text));
    else if (kind === 'failed') failures.set(JSON.parse(text).case, JSON.parse(text).error);
    else if (kind === 'end') ended = true;
  }
  const { hello, status, records, unreadable, repeated } = wire;
  return {
    ...{ runs, hello, status, check, calibrated, described, confined, truths, crashed, storms },
    ...{ discarded, failures, ended, records, unreadable, repeated },
  };
}

/** The stages of the service from the wire to the record. */
class Wire {
  hello: Hello | null = null;
  status: LoaderStatus | null = null;
  readonly records: LogRecord[] = [];
  readonly unreadable: string[] = [];
  readonly repeated: string[] = [];
  readonly #decoder = new Decoder();
  readonly #circumstances: Circumstances;

  constructor(arch: string) {
    const host = {
      id: null,
      name: 'machine',
      arch,
      osVersion: '',
      userNames: new Map(),
      tags: {},
      memoryBefore: () => null,
      corePattern: () => null,
      containerById: () => null,
    };
    this.#circumstances = circumstances({ host, seen: new Seen(SEEN_MAX) });
  }

  line(text: string): void {
    for (const decoded of this.#decoder.push(Buffer.from(`${text}\n`))) {
      if (!decoded.ok) this.unreadable.push(`${decoded.error.code}: ${decoded.error.message}`);
      else if (decoded.message.type === 'hello') this.hello = decoded.message;
      else if (decoded.message.type === 'status') this.status = decoded.message;
      else if (decoded.message.type === 'death') {
        const conclusion = conclude(decoded.message, {
          ...this.#circumstances,
          bootId: this.hello?.boot_id ?? '',
          observedNs: decoded.message.time_ns + decoded.message.clock_offset_ns,
        });
        const { pid, comm } = decoded.message.process;
        if (conclusion.kind !== 'new') this.repeated.push(`${comm} (pid ${pid})`);
        else if (conclusion.record !== null) this.records.push(...encoded(conclusion.record));
      }
    }
  }
}

/** The record as the exporter sends it. */
function encoded(record: ReadableLogRecord): LogRecord[] {
  return logRecords(new TextDecoder().decode(JsonLogsSerializer.serializeRequest([record])));
}
