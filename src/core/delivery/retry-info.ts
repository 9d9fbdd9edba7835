// SPDX-License-Identifier: Apache-2.0
// The delay that a gRPC server requests: google.rpc.RetryInfo among the details of a google.rpc.Status (googleapis
// google/rpc/status.proto, error_details.proto; protobuf duration.proto).
import { BYTES, eachField } from '../protobuf.ts';

const TYPE = '/google.rpc.RetryInfo';
const VARINT = 0;

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
  eachField(message, (field, reader, wire) => {
    if (wire !== BYTES) return false;
    found.set(field, [...(found.get(field) ?? []), reader.bytes()]);
    return true;
  });
  return found;
}

function text(parts: readonly Uint8Array[] | undefined): string {
  return Buffer.from(parts?.[0] ?? EMPTY).toString('utf8');
}

/** google.protobuf.Duration: int64 seconds = 1, int32 nanos = 2, both of wire type VARINT. */
function durationMs(message: Uint8Array): number {
  let ms = 0;
  eachField(message, (field, reader, wire) => {
    if (wire !== VARINT) return false;
    if (field === 1) ms += Number(reader.int64()) * 1000;
    else if (field === 2) ms += reader.int32() / 1e6;
    else return false;
    return true;
  });
  return Math.max(0, ms);
}
