// SPDX-License-Identifier: Apache-2.0
// grpc-status-details-bin as servers write it: a google.rpc.Status with details, one of them a google.rpc.RetryInfo.
import protobuf from 'protobufjs/minimal.js';
import { expect, it } from 'vitest';
import { retryDelayMs } from '../../../src/core/delivery/retry-info.ts';

const VARINT = 0;
const BYTES = 2;
const FIXED32 = 5;
const ABORTED = 10;
const tag = (field: number, wire: number) => (field << 3) | wire;

type Write = (writer: protobuf.Writer) => unknown;

const message = (...fields: Write[]): Uint8Array => {
  const writer = protobuf.Writer.create();
  for (const field of fields) field(writer);
  return writer.finish();
};
const varint = (field: number, value: number) => (writer: protobuf.Writer) =>
  writer.uint32(tag(field, VARINT)).int64(value);
const bytes = (field: number, value: Uint8Array) => (writer: protobuf.Writer) =>
  writer.uint32(tag(field, BYTES)).bytes(value);
const fixed32 = (field: number, value: number) => (writer: protobuf.Writer) =>
  writer.uint32(tag(field, FIXED32)).fixed32(value);
const text = (field: number, value: string) => bytes(field, new TextEncoder().encode(value));

const RETRY_INFO = 'type.googleapis.com/google.rpc.RetryInfo';
const any = (type: string, value: Uint8Array) => message(text(1, type), bytes(2, value));
/** As a server writes it: with code and message. */
const status = (...details: Uint8Array[]) =>
  message(varint(1, ABORTED), text(2, 'busy'), ...details.map((detail) => bytes(3, detail)));
const retryAfter = (...duration: Write[]) => any(RETRY_INFO, message(bytes(1, message(...duration))));
const seconds = (value: number) => varint(1, value);
const nanos = (value: number) => varint(2, value);
const debugInfo = any('type.googleapis.com/google.rpc.DebugInfo', message(text(2, 'stack')));

it.each<[string, Uint8Array | undefined, number | null]>([
  ['whole seconds', status(retryAfter(seconds(30))), 30_000],
  ['nanoseconds are a part of a millisecond each', status(retryAfter(nanos(250_000_000))), 250],
  ['seconds and nanoseconds are added', status(retryAfter(seconds(2), nanos(1_500_000))), 2001.5],
  ['more seconds than 32 bits hold', status(retryAfter(seconds(5_000_000_000))), 5_000_000_000_000],
  ['a negative delay is none', status(retryAfter(seconds(-3))), 0],
  ['a small negative delay is none, too', status(retryAfter(nanos(-500_000_000))), 0],
  ['an empty duration', status(retryAfter()), 0],
  ['no duration: the server lets the client decide', status(any(RETRY_INFO, message())), 0],
  ['no RetryInfo value at all', status(message(text(1, RETRY_INFO))), 0],
  ['another server may name another host', status(any('example.com/google.rpc.RetryInfo', message())), 0],
  ['other details come before it', status(debugInfo, retryAfter(seconds(7))), 7_000],
  ['a detail without a type comes before it', status(message(), retryAfter(seconds(7))), 7_000],
  ['the first of two counts', status(retryAfter(seconds(1)), retryAfter(seconds(2))), 1_000],
  [
    'the first duration of two counts',
    status(any(RETRY_INFO, message(bytes(1, message(seconds(1))), bytes(1, message(seconds(2)))))),
    1_000,
  ],
  ['other fields of a duration are skipped', status(retryAfter(varint(3, 9), seconds(1), varint(4, 9))), 1_000],
  ['seconds of another wire type are skipped', status(retryAfter(fixed32(1, 9), bytes(2, message()))), 0],
  ['only other details', status(debugInfo), null],
  ['a type whose name only begins like it', status(any(`${RETRY_INFO}2`, message())), null],
  ['a type without a host', status(any('google.rpc.RetryInfo', message())), null],
  ['a detail without a type', status(message(bytes(2, message()))), null],
  ['details of another wire type', message(varint(3, 1)), null],
  ['no details', status(), null],
  ['an empty status', new Uint8Array(), null],
  ['no status', undefined, null],
  ['a status that ends early', status(retryAfter(seconds(30))).slice(0, -1), null],
  ['a detail that ends early', status(message(text(1, RETRY_INFO), (w) => w.uint32(tag(2, BYTES)).uint32(9))), null],
])('the delay that a server requests: %s', (_, details, ms) => {
  expect(retryDelayMs(details)).toBe(ms);
});
