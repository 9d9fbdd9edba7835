// SPDX-License-Identifier: Apache-2.0
// The stored form of a record: the fields that OTLP has, as JSON, so that a person can read the queue file. io/ stores and sends it.
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { SCOPE } from './record.ts';

/** Avoids parsing bytes that this process wrote. An entry lives as long as its bytes. */
const written = new WeakMap<Uint8Array, ReadableLogRecord>();

/** Returns the bytes to store. The caller must not change them. */
export function storeRecord(record: ReadableLogRecord): Uint8Array {
  const { resource, instrumentationScope, ...fields } = record;
  const bytes = Buffer.from(
    JSON.stringify({
      ...fields,
      scopeVersion: instrumentationScope.version,
      resource: { attributes: resource.attributes, schemaUrl: resource.schemaUrl },
    }),
  );
  written.set(bytes, record);
  return bytes;
}

/** Reads the bytes of storeRecord(), of this process or an earlier one. Throws a SyntaxError on other bytes. */
export function readRecord(bytes: Uint8Array): ReadableLogRecord {
  const known = written.get(bytes);
  if (known !== undefined) return known;
  const value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  if (typeof value?.resource?.attributes !== 'object' || typeof value.attributes !== 'object')
    throw new SyntaxError('the bytes are not a stored record');
  const { scopeVersion, ...fields } = value;
  // Exporters group by the identity of the scope.
  const instrumentationScope = scopeVersion === SCOPE.version ? SCOPE : { ...SCOPE, version: scopeVersion };
  return { ...fields, instrumentationScope };
}
