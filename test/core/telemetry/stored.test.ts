// SPDX-License-Identifier: Apache-2.0
// The stored form, written and read back: the official serializers see no difference.
import { ProtobufLogsSerializer } from '@opentelemetry/otlp-transformer';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SCOPE } from '../../../src/core/telemetry/record.ts';
import { readRecord, storeRecord } from '../../../src/core/telemetry/stored.ts';

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ minLength: 100, maxLength: 400 }),
  // Half a surrogate pair: both serializers write U+FFFD.
  fc.constant('\ud800'),
);
const number = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  // No record has a number that JSON cannot express.
  fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Object.is(value, -0)),
  fc.constantFrom(0, 127, 128, 16_384, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 63), 2 ** 63, -1),
);
const attributes = fc.dictionary(
  text.filter((key) => key !== '__proto__'),
  fc.oneof(text, number, fc.boolean(), fc.array(text, { maxLength: 5 })),
  { maxKeys: 12 },
);
const time = fc.tuple(fc.nat(2 ** 31), fc.nat(999_999_999));
const hex = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((array) => Buffer.from(array).toString('hex'));

const records: fc.Arbitrary<ReadableLogRecord> = fc
  .record(
    {
      hrTime: time,
      hrTimeObserved: time,
      severityNumber: fc.nat(24),
      severityText: text,
      eventName: text,
      body: text,
      attributes,
      droppedAttributesCount: fc.nat(3),
      resource: fc.record({ attributes, schemaUrl: text }),
      spanContext: fc.record({ traceId: hex(16), spanId: hex(8), traceFlags: fc.nat(1) }),
    },
    {
      requiredKeys: ['hrTime', 'hrTimeObserved', 'attributes', 'droppedAttributesCount', 'resource'],
    },
  )
  .map((record) => ({ ...record, instrumentationScope: SCOPE }) as unknown as ReadableLogRecord);

const official = (record: ReadableLogRecord): Buffer =>
  Buffer.from(ProtobufLogsSerializer.serializeRequest([record]) ?? new Uint8Array());

describe('a record', () => {
  it('is unchanged when it is read back, in the fields that OTLP has', () => {
    fc.assert(
      fc.property(records, (record) => {
        // A copy of the bytes, as read from the disk.
        const back = readRecord(Uint8Array.from(storeRecord(record)));
        expect(official(back).equals(official(record))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('is not parsed again while its bytes are in memory', () => {
    const [record] = fc.sample(records, 1) as [ReadableLogRecord];
    expect(readRecord(storeRecord(record))).toBe(record);
  });

  it('keeps the version that wrote it, and shares the scope object of the current version', () => {
    const [one, other] = fc.sample(records, 2) as [ReadableLogRecord, ReadableLogRecord];
    const read = (record: ReadableLogRecord) => readRecord(Uint8Array.from(storeRecord(record))).instrumentationScope;
    expect(read(one)).toBe(read(other));
    expect(read({ ...one, instrumentationScope: { ...SCOPE, version: '0.0.1' } }).version).toBe('0.0.1');
  });
});

describe('other bytes', () => {
  it('are read as a record or throw a SyntaxError', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 200 }),
          fc.json().map((json) => Buffer.from(json)),
        ),
        (bytes) => {
          try {
            readRecord(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(SyntaxError);
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
