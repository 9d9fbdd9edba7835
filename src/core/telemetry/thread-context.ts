// SPDX-License-Identifier: Apache-2.0
// The context that the thread which triggered a termination published (OpenTelemetry's OTEP 4947): its attributes, as those of a record.
// They are the word of the process: bounded, without secrets that are recognised, and never under a name of whodunit's own. The span is
// in trace-context.ts.
import type { ArgumentsMode } from '../identity/arguments.ts';
import { canonical, harmlessText } from '../identity/claims.ts';
import type { ProcessContext } from '../identity/process-context.ts';
import { REDACTED, redactText } from '../identity/redact.ts';
import type { Death } from '../wire/event.ts';
import type { Pair } from './attributes.ts';
import * as semconv from './semconv.ts';

/** Attributes of one record. Those with the lowest key indexes are kept. */
export const THREAD_ATTRIBUTES_MAX = 16;

/** The attribute in which a process declares the layout of its thread contexts, and the layouts that the loader reads. */
const SCHEMA_KEY = 'threadlocal.schema_version';
const SCHEMAS: readonly unknown[] = ['tls_v1', 'tlsdesc_v1_dev'];

/** What an operation is, by OpenTelemetry's conventions, which demand few values. They keep their names. */
const OPERATION: ReadonlySet<string> = new Set([
  semconv.HTTP_REQUEST_METHOD,
  semconv.HTTP_ROUTE,
  semconv.RPC_METHOD,
  semconv.MESSAGING_OPERATION_NAME,
]);
/** No backend needs to quote such a name. */
const NAME = /^[A-Za-z][\w.-]{0,63}$/;

export type ThreadContext = NonNullable<Death['thread_context']>;

/** null: no thread is known, or the process does not declare a layout that the loader reads. */
export function threadContextOf(death: Death, published: ProcessContext): ThreadContext | null {
  return SCHEMAS.includes(published.attributes[SCHEMA_KEY]) ? death.thread_context : null;
}

/** `mode`: what WHODUNIT_ARGUMENTS allows of the data of processes. */
export function threadAttributes(death: Death, published: ProcessContext, mode: ArgumentsMode): Pair[] {
  const attributes = threadContextOf(death, published)?.attributes ?? null;
  if (attributes === null || mode === 'off') return [];
  const pairs = new Map<string, Pair>();
  for (const [index, value] of entriesOf(Buffer.from(attributes, 'base64'))) {
    const name = published.threadKeys[index];
    // Backends take names that differ in case or separators for one: the first is kept.
    if (name === undefined || value === '' || !NAME.test(name) || pairs.has(canonical(name))) continue;
    const shown = mode === 'full' ? value : withoutSecret(name, value);
    pairs.set(canonical(name), [OPERATION.has(name) ? name : `${semconv.THREAD_CONTEXT}.${name}`, harmlessText(shown)]);
    if (pairs.size === THREAD_ATTRIBUTES_MAX) break;
  }
  return [...pairs.values()];
}

/** attrs-data of the record, by key index: the last of several values counts, and an entry that is cut off ends it. */
function entriesOf(bytes: Buffer): readonly (readonly [number, string])[] {
  const values = new Map<number, string>();
  for (let at = 0; at + 2 <= bytes.length; ) {
    const [index = 0, length = 0] = bytes.subarray(at, at + 2);
    const end = at + 2 + length;
    if (end > bytes.length) break;
    values.set(index, bytes.toString('utf8', at + 2, end));
    at = end;
  }
  return [...values].sort(([a], [b]) => a - b);
}

/** Also a value that only its name marks as a secret. */
function withoutSecret(name: string, value: string): string {
  const before = `${name}=`;
  const clean = redactText(before + value);
  return clean.startsWith(before) ? clean.slice(before.length) : REDACTED;
}
