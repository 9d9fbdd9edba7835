// SPDX-License-Identifier: Apache-2.0
// Parses the process context that a process publishes for external readers (OpenTelemetry's OTEP 4719):
// opentelemetry.proto.processcontext.v1development.ProcessContext or, in drafts of the OTEP, a bare
// opentelemetry.proto.resource.v1.Resource. The probes find and read the mapping.
import { BYTES, eachField } from '../protobuf.ts';
import { cutText } from './redact.ts';

const ATTRIBUTES_MAX = 64;
const VALUE_CHARS_MAX = 1024;

/** Scalar values. Lists, maps and bytes are omitted, except the names of `threadKeys`. */
export type ContextValue = string | number | boolean;

export interface ProcessContext {
  /** The resource attributes. */
  readonly resource: Readonly<Record<string, ContextValue>>;
  /** Attributes for readers of the context; not part of a record. */
  readonly attributes: Readonly<Record<string, ContextValue>>;
  /** Names of the attributes of threads, by key index (OTEP 4947, `threadlocal.attribute_key_map`). */
  readonly threadKeys: readonly string[];
}

const NOTHING: ProcessContext = { resource: {}, attributes: {}, threadKeys: [] };
const THREAD_KEYS = 'threadlocal.attribute_key_map';
/** A key index has one byte. */
const THREAD_KEYS_MAX = 256;

/** Empty if it is absent or malformed: bytes that a process wrote must not stop the service. */
export function parseProcessContext(base64: string | null): ProcessContext {
  if (base64 === null) return NOTHING;
  const resource: Record<string, ContextValue> = {};
  const attributes: Record<string, ContextValue> = {};
  let threadKeys: readonly string[] = [];
  try {
    eachField(Buffer.from(base64, 'base64'), (field, reader, wire) => {
      if (wire !== BYTES) return false;
      if (field === RESOURCE) {
        const bytes = reader.bytes();
        if (isKeyValue(bytes)) add(resource, bytes);
        else addEach(resource, bytes);
      } else if (field === CONTEXT_ATTRIBUTES) {
        const bytes = reader.bytes();
        threadKeys = threadKeysIn(bytes) ?? threadKeys;
        add(attributes, bytes);
      } else return false;
      return true;
    });
  } catch {
    return NOTHING;
  }
  return { resource, attributes, threadKeys };
}

/** Field numbers: ProcessContext.resource and .attributes; Resource.attributes; KeyValue.key and .value; those of AnyValue. */
const RESOURCE = 1;
const CONTEXT_ATTRIBUTES = 2;
const ATTRIBUTES = 1;
const KEY = 1;
const VALUE = 2;
const STRING = 1;
const BOOL = 2;
const INT = 3;
const DOUBLE = 4;
const ARRAY = 5;
/** ArrayValue.values */
const VALUES = 1;

/** In the drafts, field 1 is an attribute. It has a message in field 2, where a resource has a number. */
function isKeyValue(bytes: Uint8Array): boolean {
  let found = false;
  eachField(bytes, (field, _, wire) => {
    if (field === VALUE && wire === BYTES) found = true;
    return false;
  });
  return found;
}

/** Adds the attributes of a Resource. */
function addEach(to: Record<string, ContextValue>, bytes: Uint8Array): void {
  eachField(bytes, (field, reader) => {
    if (field !== ATTRIBUTES) return false;
    add(to, reader.bytes());
    return true;
  });
}

/** Adds the attribute if it is below ATTRIBUTES_MAX and its value is a ContextValue. */
function add(to: Record<string, ContextValue>, bytes: Uint8Array): void {
  if (Object.keys(to).length >= ATTRIBUTES_MAX) return;
  const [key, value] = keyValue(bytes);
  if (key !== '' && key !== '__proto__' && value !== null) to[key] = value;
}

/** The names in a KeyValue of THREAD_KEYS; null: it is another attribute. A value that is no string keeps its index, without a name. */
function threadKeysIn(bytes: Uint8Array): readonly string[] | null {
  let isMap = false;
  const names: string[] = [];
  const read = (value: Uint8Array, of: number, each: (bytes: Uint8Array) => void) =>
    eachField(value, (field, reader, wire) => {
      if (field !== of || wire !== BYTES) return false;
      each(reader.bytes());
      return true;
    });
  read(bytes, KEY, (key) => {
    isMap = Buffer.from(key).toString('latin1') === THREAD_KEYS;
  });
  if (!isMap) return null;
  try {
    read(bytes, VALUE, (any) =>
      read(any, ARRAY, (array) =>
        read(array, VALUES, (value) => {
          const name = anyValue(value);
          if (names.length < THREAD_KEYS_MAX) names.push(typeof name === 'string' ? name : '');
        }),
      ),
    );
  } catch {
    return [];
  }
  return names;
}

function keyValue(bytes: Uint8Array): [string, ContextValue | null] {
  let key = '';
  let value: ContextValue | null = null;
  eachField(bytes, (field, reader) => {
    if (field === KEY) key = reader.string();
    else if (field === VALUE) value = anyValue(reader.bytes());
    else return false;
    return true;
  });
  return [key, value];
}

function anyValue(bytes: Uint8Array): ContextValue | null {
  let value: ContextValue | null = null;
  eachField(bytes, (field, reader) => {
    if (field === STRING) value = cutText(reader.string(), VALUE_CHARS_MAX);
    else if (field === BOOL) value = reader.bool();
    else if (field === INT) value = Number(reader.int64());
    else if (field === DOUBLE) value = reader.double();
    else return false;
    return true;
  });
  return value;
}
