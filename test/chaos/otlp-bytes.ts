// SPDX-License-Identifier: Apache-2.0
// The few bytes of OTLP and gRPC that a collector needs which refuses some records and accepts others. Pure. Protobuf's encoding:
// https://protobuf.dev/programming-guides/encoding, a field is a tag (number << 3 | 2 for what has a length), a length, and content.
import { REFUSED_CODE } from './ledger.ts';

const RESOURCE_LOGS_TAG = 0x0a; // ExportLogsServiceRequest.resource_logs, field 1
const MARK = Buffer.from(`exited with code ${REFUSED_CODE}`);

/** True: one of these records is of those that a collector may refuse. The body of the record says so in every encoding. */
export function holdsRefused(request: Buffer): boolean {
  return request.includes(MARK);
}

/** An ExportLogsServiceRequest without what is refused. Each death has a resource of its own, thus a field of its own. */
export function withoutRefused(request: Buffer): { kept: Buffer; refused: number } {
  const kept: Buffer[] = [];
  let refused = 0;
  for (let from = 0; from < request.length; ) {
    if (request[from] !== RESOURCE_LOGS_TAG) throw new Error(`byte ${from} of a request is no resource_logs`);
    const [length, content] = readVarint(request, from + 1);
    const field = request.subarray(from, content + length);
    if (holdsRefused(field)) refused += 1;
    else kept.push(field);
    from = content + length;
  }
  return { kept: Buffer.concat(kept), refused };
}

/** An ExportLogsServiceResponse with a partial success. */
export function partialSuccess(refused: number, message: string): Buffer {
  // ExportLogsPartialSuccess: rejected_log_records = 1 (a varint), error_message = 2.
  return field(1, Buffer.concat([Buffer.from([0x08]), varint(refused), field(2, Buffer.from(message))]));
}

/** google.rpc.Status with a google.rpc.RetryInfo, as `grpc-status-details-bin` carries it. */
export function retryInfo(code: number, seconds: number): Buffer {
  const delay = field(1, Buffer.concat([Buffer.from([0x08]), varint(seconds)])); // RetryInfo.retry_delay, Duration.seconds
  const any = [field(1, Buffer.from('type.googleapis.com/google.rpc.RetryInfo')), field(2, delay)];
  return Buffer.concat([Buffer.from([0x08]), varint(code), field(3, Buffer.concat(any))]);
}

/** gRPC's frame of one message: a byte for compression, four for the length. */
export function frame(message: Buffer): Buffer {
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** The message of a frame that is not compressed. */
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

/** The value, and where what comes after it begins. */
function readVarint(bytes: Buffer, from: number): [number, number] {
  let value = 0;
  for (let at = from, weight = 1; at < bytes.length; at += 1, weight *= 0x80) {
    const byte = bytes[at] ?? 0;
    value += (byte & 0x7f) * weight;
    if (byte < 0x80) return [value, at + 1];
  }
  throw new Error(`a varint at byte ${from} does not end`);
}
