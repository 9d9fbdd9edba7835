// SPDX-License-Identifier: Apache-2.0
// The parts of OTLP and gRPC that a collector needs to refuse some records and accept others. Pure. In protobuf
// (https://protobuf.dev/programming-guides/encoding), a length-delimited field is a tag (number << 3 | 2), a length, and the content.
import { REFUSED_CODE } from './ledger.ts';

const RESOURCE_LOGS_TAG = 0x0a; // ExportLogsServiceRequest.resource_logs, field 1
const MARK = Buffer.from(`exited with code ${REFUSED_CODE}`);

/** Whether the request has a record that the collector may refuse. The text of the body is the same in every encoding. */
export function holdsRefused(request: Buffer): boolean {
  return request.includes(MARK);
}

/** Removes the refused records from an ExportLogsServiceRequest. Each termination has its own resource, and so its own field. */
export function withoutRefused(request: Buffer): { kept: Buffer; refused: number } {
  const kept: Buffer[] = [];
  let refused = 0;
  for (let from = 0; from < request.length; ) {
    if (request[from] !== RESOURCE_LOGS_TAG) throw new Error(`byte ${from} of a request is not resource_logs`);
    const [length, content] = readVarint(request, from + 1);
    const field = request.subarray(from, content + length);
    if (holdsRefused(field)) refused += 1;
    else kept.push(field);
    from = content + length;
  }
  return { kept: Buffer.concat(kept), refused };
}

/** Encodes an ExportLogsServiceResponse with a partial success. */
export function partialSuccess(refused: number, message: string): Buffer {
  // ExportLogsPartialSuccess: rejected_log_records = 1 (a varint), error_message = 2.
  return field(1, Buffer.concat([Buffer.from([0x08]), varint(refused), field(2, Buffer.from(message))]));
}

/** Encodes a google.rpc.Status with a google.rpc.RetryInfo, for `grpc-status-details-bin`. */
export function retryInfo(code: number, seconds: number): Buffer {
  const delay = field(1, Buffer.concat([Buffer.from([0x08]), varint(seconds)])); // RetryInfo.retry_delay, Duration.seconds
  const any = [field(1, Buffer.from('type.googleapis.com/google.rpc.RetryInfo')), field(2, delay)];
  return Buffer.concat([Buffer.from([0x08]), varint(code), field(3, Buffer.concat(any))]);
}

/** Encodes the gRPC frame of one message: one byte for compression, four for the length. */
export function frame(message: Buffer): Buffer {
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** Returns the message of an uncompressed frame. */
export function unframe(framed: Buffer): Buffer {
  return framed.subarray(FRAME_HEAD_BYTES);
}

const FRAME_HEAD_BYTES = 5;

function field(number: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2]), varint(content.length), content]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (; value > 0x7f; value = Math.floor(value / 0x80)) bytes.push((value % 0x80) | 0x80);
  return Buffer.from([...bytes, value]);
}

/** Returns the value, and the offset of the next byte. */
function readVarint(bytes: Buffer, from: number): [number, number] {
  let value = 0;
  for (let at = from, weight = 1; at < bytes.length; at += 1, weight *= 0x80) {
    const byte = bytes[at] ?? 0;
    value += (byte & 0x7f) * weight;
    if (byte < 0x80) return [value, at + 1];
  }
  throw new Error(`a varint at byte ${from} does not end`);
}
