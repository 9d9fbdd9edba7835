// SPDX-License-Identifier: Apache-2.0
// The context that a process publishes for readers outside of it (OpenTelemetry's OTEP 4719): a resource and more, as
// opentelemetry.proto.processcontext.v1development.ProcessContext; in drafts of the OTEP, the bare
// opentelemetry.proto.resource.v1.Resource. The probes found and read the mapping; here its bytes become attributes.
import protobuf from 'protobufjs/minimal.js';

const ATTRIBUTES_MAX = 64;
const VALUE_CHARS_MAX = 1024;

/** Text, as whodunit's own resource has it. Lists, maps and bytes of a published value are left out. */
export type ContextValue = string | number | boolean;

export interface ProcessContext {
  /** What the process is. */
  readonly resource: Readonly<Record<string, ContextValue>>;
  /** What readers of the context must know; not part of a record. */
  readonly attributes: Readonly<Record<string, ContextValue>>;
}

const NOTHING: ProcessContext = { resource: {}, attributes: {} };

/** Empty if it was not published, or is malformed: bytes that a process wrote must not stop the service. */
export function parseProcessContext(base64: string | null): ProcessContext {
  if (base64 === null) return NOTHING;
  const resource: Record<string, ContextValue> = {};
  const attributes: Record<string, ContextValue> = {};
  try {
    eachField(Buffer.from(base64, 'base64'), (field, reader, wire) => {
      if (wire !== BYTES) return false;
      if (field === RESOURCE) {
        const bytes = reader.bytes();
        if (isKeyValue(bytes)) add(resource, bytes);
        else addEach(resource, bytes);
      } else if (field === CONTEXT_ATTRIBUTES) add(attributes, reader.bytes());
      else return false;
      return true;
    });
  } catch {
    return NOTHING;
  }
  return { resource, attributes };
}

/** The wire type of messages and strings. */
const BYTES = 2;
/** Numbers of fields: ProcessContext.resource and .attributes; Resource.attributes; KeyValue.key and .value; AnyValue's. */
const RESOURCE = 1;
const CONTEXT_ATTRIBUTES = 2;
const ATTRIBUTES = 1;
const KEY = 1;
const VALUE = 2;
const STRING = 1;
const BOOL = 2;
const INT = 3;
const DOUBLE = 4;

/** `read` takes the field's value and returns true, or leaves it to be skipped. Throws on bytes that are no message. */
function eachField(bytes: Uint8Array, read: (field: number, reader: protobuf.Reader, wire: number) => boolean): void {
  const reader = protobuf.Reader.create(bytes);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (!read(tag >>> 3, reader, tag & 7)) reader.skipType(tag & 7);
  }
}

/** The drafts have an attribute where the resource is now: it has a value, and field 2 of a resource is a number. */
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

/** Adds the attribute, if there is room and its type is one of ContextValue. */
function add(to: Record<string, ContextValue>, bytes: Uint8Array): void {
  if (Object.keys(to).length >= ATTRIBUTES_MAX) return;
  const [key, value] = keyValue(bytes);
  if (key !== '' && key !== '__proto__' && value !== null) to[key] = value;
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
    if (field === STRING) value = reader.string().slice(0, VALUE_CHARS_MAX);
    else if (field === BOOL) value = reader.bool();
    else if (field === INT) value = Number(reader.int64());
    else if (field === DOUBLE) value = reader.double();
    else return false;
    return true;
  });
  return value;
}
