// SPDX-License-Identifier: Apache-2.0
// The delay that a gRPC server requests: google.rpc.RetryInfo among the details of a google.rpc.Status (googleapis
// google/rpc/status.proto, error_details.proto; protobuf duration.proto).
import protobuf from 'protobufjs/minimal.js';

const TYPE = '/google.rpc.RetryInfo';
const BYTES = 2;

/** The delay in ms. null: there is none, or the bytes are invalid. Never throws. */
export function retryDelayMs(status: Uint8Array | undefined): number | null {
  if (status === undefined) return null;
  try {
    for (const detail of fields(status).get(3) ?? []) {
      const any = fields(detail);
      if (!text(any.get(1)).endsWith(TYPE)) continue;
      const [delay] = fields(any.get(2)?.[0] ?? EMPTY).get(1) ?? [];
      return delay === undefined ? 0 : durationMs(delay);
    }
  } catch {}
  return null;
}

const EMPTY = new Uint8Array();

/** The length-delimited fields of a message (bytes, strings, messages), by number. Throws on malformed bytes. */
function fields(message: Uint8Array): Map<number, Uint8Array[]> {
  const found = new Map<number, Uint8Array[]>();
  const reader = protobuf.Reader.create(message);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if ((tag & 7) !== BYTES) reader.skipType(tag & 7);
    else found.set(tag >>> 3, [...(found.get(tag >>> 3) ?? []), reader.bytes()]);
  }
  return found;
}

function text(parts: readonly Uint8Array[] | undefined): string {
  return Buffer.from(parts?.[0] ?? EMPTY).toString('utf8');
}

/** google.protobuf.Duration: int64 seconds = 1, int32 nanos = 2. */
function durationMs(message: Uint8Array): number {
  const reader = protobuf.Reader.create(message);
  let ms = 0;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === 8) ms += Number(reader.int64()) * 1000;
    else if (tag === 16) ms += reader.int32() / 1e6;
    else reader.skipType(tag & 7);
  }
  return Math.max(0, ms);
}
