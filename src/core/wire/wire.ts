// SPDX-License-Identifier: Apache-2.0
// The protocol between loader and service: one JSON object per line, version first (docs/wire.md).
//
// Twin of loader/internal/wire/wire.go; both are tested against the golden lines in test/wire. The service writes acks and reads all other
// messages. Pure: bytes in any chunks → messages. io/loader/socket.ts handles sockets, roles and bad lines; the schemas are in event.ts.
import * as z from 'zod/mini';
import type { WireError, WireErrorCode } from '../errors.ts';
import {
  deathSchema,
  errorSchema,
  helloSchema,
  type Message,
  requestEndSchema,
  requestSchema,
  restartSchema,
  statusSchema,
} from './event.ts';
import { gapSchema } from './gap.ts';
import { equalSchema, type Repeat, repeatSchema, repeatsSchema } from './repeat.ts';

export const WIRE_VERSION = 1;
/** Maximum length of a line, newline included. Checked before more is buffered. */
export const LINE_BYTES_MAX = 131_072;

const NEWLINE = 0x0a;
const SAMPLE_CHARS = 120;
const HEAD_BYTES = 256;
const DEATH_HEAD = /"type"\s*:\s*"(?:death|equal)"/;
const SEQ_HEAD = /"seq"\s*:\s*"(\d{1,20})"/;

export type Decoded =
  | { readonly ok: true; readonly message: Message }
  | { readonly ok: false; readonly error: WireError };

const SCHEMAS = {
  hello: helloSchema,
  death: deathSchema,
  restart: restartSchema,
  request: requestSchema,
  request_end: requestEndSchema,
  gap: gapSchema,
  equal: equalSchema,
  repeat: repeatSchema,
  repeats: repeatsSchema,
  status: statusSchema,
  error: errorSchema,
} as const;

/**
 * Decodes a stream of bytes into messages. The results do not depend on how the bytes are split into chunks. Never throws. Buffers at
 * most one line, of at most LINE_BYTES_MAX.
 */
export class Decoder {
  #parts: Uint8Array[] = [];
  #held = 0;
  #skipping = false;
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

  /** Decodes a chunk. The caller must not change it before its last line is complete. */
  push(chunk: Uint8Array): Decoded[] {
    const results: Decoded[] = [];
    let from = 0;
    while (from < chunk.length) {
      const newline = chunk.indexOf(NEWLINE, from);
      const to = newline === -1 ? chunk.length : newline;
      if (!this.#skipping) {
        // `>=`: the newline, which is not in this count, needs room, too.
        if (this.#held + (to - from) >= LINE_BYTES_MAX) {
          results.push(this.#tooLong(chunk.subarray(from, to)));
        } else if (to > from) {
          this.#parts.push(chunk.subarray(from, to));
          this.#held += to - from;
        }
      }
      if (newline === -1) break;
      if (this.#skipping) this.#skipping = false;
      else results.push(this.#line());
      from = newline + 1;
    }
    return results;
  }

  /** The end of the stream. The rest without a newline is a half line; the loader will send it again. */
  end(): Decoded[] {
    const results: Decoded[] = [];
    if (this.#held > 0) {
      const head = this.#head(this.#take());
      const message = `the connection ended in the middle of a line, after ${head.bytes} bytes`;
      results.push(failure('WIRE_HALF_LINE', message, head.text, false));
    }
    this.#skipping = false;
    return results;
  }

  #take(): Uint8Array {
    const [first] = this.#parts;
    const line = this.#parts.length === 1 && first !== undefined ? first : concat(this.#parts, this.#held);
    this.#parts = [];
    this.#held = 0;
    return line;
  }

  #head(line: Uint8Array): { text: string; bytes: number } {
    return { text: LENIENT.decode(line.subarray(0, HEAD_BYTES)), bytes: line.length };
  }

  #tooLong(rest: Uint8Array): Decoded {
    const need = HEAD_BYTES - this.#held;
    if (need > 0) {
      this.#parts.push(rest.subarray(0, need));
      this.#held += Math.min(need, rest.length);
    }
    const head = this.#head(this.#take());
    this.#skipping = true;
    return failure('WIRE_LINE_TOO_LONG', `a line is longer than ${LINE_BYTES_MAX} bytes; skipped`, head.text);
  }

  #line(): Decoded {
    const line = this.#take();
    let value: unknown;
    try {
      value = JSON.parse(this.#utf8.decode(line));
    } catch {
      return failure('WIRE_NOT_JSON', `a line of ${line.length} bytes is not JSON in UTF-8`, this.#head(line).text);
    }
    return interpret(value, () => this.#head(line).text);
  }
}

/** Acknowledges all events up to and including `seq`. `0n` only requests the role of the consumer. */
export function encodeAck(seq: bigint): string {
  return `{"v":${WIRE_VERSION},"type":"ack","seq":"${seq}"}\n`;
}

/** Asks to only count the terminations with this key until a time of CLOCK_BOOTTIME; those in the ring may come as `equal`. */
export function encodeArm(key: string, as: Repeat['as'], untilNs: bigint): string {
  return `{"v":${WIRE_VERSION},"type":"arm","key":"${key}","as":"${as}","until_ns":"${untilNs}","equal":true}\n`;
}

/** Acknowledges the total of an entry. */
export function encodeCounted(id: bigint, total: bigint): string {
  return `{"v":${WIRE_VERSION},"type":"counted","id":"${id}","total":"${total}"}\n`;
}

const LENIENT = new TextDecoder('utf-8');

function interpret(value: unknown, head: () => string): Decoded {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return failure('WIRE_SCHEMA', 'a line is not a JSON object', head());
  }
  const { v, type } = value as { v?: unknown; type?: unknown };
  if (v !== WIRE_VERSION) {
    return failure(
      'WIRE_VERSION',
      `a line has version ${brief(v)}, this service reads version ${WIRE_VERSION}`,
      head(),
    );
  }
  if (typeof type !== 'string' || !Object.hasOwn(SCHEMAS, type)) {
    return failure('WIRE_TYPE', `a line has the unknown type ${brief(type)}`, head());
  }
  const parsed = z.safeParse(SCHEMAS[type as keyof typeof SCHEMAS], value);
  if (parsed.success) return { ok: true, message: parsed.data };
  const issue = parsed.error.issues[0];
  const where = issue === undefined || issue.path.length === 0 ? 'the line' : issue.path.join('.');
  return failure(
    'WIRE_SCHEMA',
    `a ${type} message does not match docs/wire.md: ${where}: ${issue?.message ?? 'invalid'}`,
    head(),
  );
}

function failure(code: WireErrorCode, message: string, head: string, mayLose = true): Decoded {
  const lostTermination = mayLose && DEATH_HEAD.test(head);
  const seq = lostTermination ? SEQ_HEAD.exec(head)?.[1] : undefined;
  const sample = head.slice(0, SAMPLE_CHARS);
  return { ok: false, error: { code, message, sample, lostTermination, seq: seq === undefined ? null : BigInt(seq) } };
}

function brief(value: unknown): string {
  return value === undefined ? 'none' : JSON.stringify(value).slice(0, 40);
}

function concat(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
