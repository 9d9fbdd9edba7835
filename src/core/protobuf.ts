// SPDX-License-Identifier: Apache-2.0
// Reads the fields of a protobuf message one by one, without its schema (protobuf encoding, "Message Structure").
import protobuf from 'protobufjs/minimal.js';

export type FieldReader = protobuf.Reader;

/** The wire type of messages, strings and bytes. */
export const BYTES = 2;

/** `read` reads the field's value and returns true, or returns false to skip it. Throws on malformed bytes. */
export function eachField(
  bytes: Uint8Array,
  read: (field: number, reader: FieldReader, wire: number) => boolean,
): void {
  const reader = protobuf.Reader.create(bytes);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (!read(tag >>> 3, reader, tag & 7)) reader.skipType(tag & 7);
  }
}
