// SPDX-License-Identifier: Apache-2.0
// The context that a process publishes for readers outside of it (OpenTelemetry's OTEP 4719): a resource, as
// opentelemetry.proto.resource.v1.Resource. The mapping was found and read in the kernel; here its bytes become attributes.
import protobuf from 'protobufjs/minimal.js';

const ATTRIBUTES_MAX = 64;
const VALUE_CHARS_MAX = 1024;

/** Text, as whodunit's own resource has it. Lists, maps and bytes of a published value are left out. */
export type ContextValue = string | number | boolean;

/** The attributes in it; none: nothing was published, or nobody can read it. What the dead wrote must not be able to end the service. */
export function parseProcessContext(base64: string | null): Record<string, ContextValue> {
  const attributes: Record<string, ContextValue> = {};
  if (base64 === null) return attributes;
  try {
    eachField(Buffer.from(base64, 'base64'), (field, reader) => {
      if (field !== ATTRIBUTES || Object.keys(attributes).length >= ATTRIBUTES_MAX) return false;
      const [key, value] = keyValue(reader.bytes());
      if (key !== '' && key !== '__proto__' && value !== null) attributes[key] = value;
      return true;
    });
  } catch {
    return {};
  }
  return attributes;
}

/** Numbers of fields: Resource.attributes; KeyValue.key and .value; AnyValue's string, bool, int and double. */
const ATTRIBUTES = 1;
const KEY = 1;
const VALUE = 2;
const STRING = 1;
const BOOL = 2;
const INT = 3;
const DOUBLE = 4;

/** `read` takes the field's value and returns true, or leaves it to be skipped. Throws on bytes that are no message. */
function eachField(bytes: Uint8Array, read: (field: number, reader: protobuf.Reader) => boolean): void {
  const reader = protobuf.Reader.create(bytes);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (!read(tag >>> 3, reader)) reader.skipType(tag & 7);
  }
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
