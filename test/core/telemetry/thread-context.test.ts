// SPDX-License-Identifier: Apache-2.0
// The attributes that the thread which triggered a termination had published, in its record (OpenTelemetry's OTEP 4947).
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ArgumentsMode } from '../../../src/core/identity/arguments.ts';
import { parseProcessContext } from '../../../src/core/identity/process-context.ts';
import { THREAD_ATTRIBUTES_MAX, threadAttributes } from '../../../src/core/telemetry/thread-context.ts';
import { recordOf } from '../../support/circumstances.ts';
import { exitedWith, victim } from '../../support/deadly.ts';
import { list, processContext, text } from '../../support/published.ts';

type Entry = readonly [index: number, value: string | Buffer];

/** attrs-data as a thread publishes it. */
function data(...entries: readonly Entry[]): Buffer {
  return Buffer.concat(
    entries.map(([index, value]) => {
      const bytes = Buffer.from(value as string);
      return Buffer.concat([Buffer.from([index, bytes.length]), bytes]);
    }),
  );
}

function death(names: readonly string[], attributes: Buffer | null, schema = 'tls_v1') {
  const map = ['threadlocal.attribute_key_map', list(...names)] as const;
  return exitedWith(1, {
    process: victim({ otel_context: processContext([], [['threadlocal.schema_version', text(schema)], map]) }),
    thread_context: {
      trace_id: '1'.repeat(32),
      span_id: '2'.repeat(16),
      trace_flags: 1,
      attributes: attributes?.toString('base64') ?? null,
    },
  });
}

function shown(names: readonly string[], attributes: Buffer | null, mode: ArgumentsMode = 'redacted', schema?: string) {
  const from = death(names, attributes, schema);
  return Object.fromEntries(threadAttributes(from, parseProcessContext(from.process.otel_context), mode));
}

describe('attributes of the thread', () => {
  it('are in the record: what the operation is under its own name, the rest under that of the context', () => {
    const names = ['http.request.method', 'http.route', 'tenant', 'http_route'];
    const published = data([0, 'GET'], [1, '/users/:id'], [2, 'acme'], [3, '/u']);
    const expected = {
      'http.request.method': 'GET',
      'http.route': '/users/:id',
      'whodunit.thread_context.tenant': 'acme',
    };
    expect(shown(names, published)).toEqual(expected);
    expect(recordOf(death(names, published)).attributes).toMatchObject(expected);
  });

  it.each<[string, readonly string[], Buffer, Record<string, string>]>([
    ['the last of several values counts', ['a'], data([0, 'one'], [0, 'two']), { a: 'two' }],
    ['an index without a name is ignored', ['a'], data([7, 'x'], [0, 'y']), { a: 'y' }],
    [
      'an entry that is cut off ends them',
      ['a', 'b'],
      Buffer.concat([data([0, 'x']), Buffer.from([1, 9, 65])]),
      { a: 'x' },
    ],
    ['a single last byte is ignored', ['a'], Buffer.concat([data([0, 'x']), Buffer.from([0])]), { a: 'x' }],
    ['an empty value is omitted', ['a'], data([0, '']), {}],
    ['the prototype is no name', ['__proto__', 'constructor'], data([0, 'x'], [1, 'y']), { constructor: 'y' }],
    [
      'names of whodunit stay what they are',
      ['whodunit.cause', 'log.record.uid'],
      data([0, 'x'], [1, 'y']),
      {
        'whodunit.cause': 'x',
        'log.record.uid': 'y',
      },
    ],
    [
      'names that need quoting are omitted',
      ['a b', 'a"', 'ä', '', 'a'.repeat(65), '1a'],
      data([0, 'x'], [1, 'x'], [2, 'x'], [3, 'x'], [4, 'x'], [5, 'x']),
      {},
    ],
    [
      'names that backends take for one are one',
      ['tenant.id', 'Tenant_ID'],
      data([1, 'x'], [0, 'y']),
      { 'tenant.id': 'y' },
    ],
    [
      'control characters and bytes that are no text are replaced',
      ['a'],
      data([0, Buffer.from('x\n\x1b[31m\xff', 'latin1')]),
      { a: 'x\uFFFD\uFFFD[31m\uFFFD' },
    ],
    ['a secret is redacted by its name', ['db.password'], data([0, 'hunter2']), { 'db.password': '[REDACTED]' }],
    [
      'a secret is redacted by its form',
      ['url'],
      data([0, 'https://bob:hunter2@example.com/']),
      { url: 'https://bob:[REDACTED]@example.com/' },
    ],
  ])('%s', (_, names, attributes, expected) => {
    const prefixed = Object.entries(expected).map(([name, value]) => [`whodunit.thread_context.${name}`, value]);
    expect(shown(names, attributes)).toEqual(Object.fromEntries(prefixed));
  });

  it('follow WHODUNIT_ARGUMENTS', () => {
    expect(shown(['password'], data([0, 'x1']), 'full')).toEqual({ 'whodunit.thread_context.password': 'x1' });
    expect(shown(['http.route'], data([0, '/']), 'off')).toEqual({});
  });

  it('are none without a layout that is read, or without attributes', () => {
    expect(shown(['http.route'], data([0, '/']), 'redacted', 'go_pprof_labels_v1')).toEqual({});
    expect(shown(['http.route'], null)).toEqual({});
  });

  it('are few and short, whatever a process publishes', () => {
    const all = Array.from({ length: 256 }, (_, index) => `k${index}`);
    const long = shown(all, data(...all.map((_, index): Entry => [index, 'x'.repeat(255)])));
    expect(Object.keys(long)).toEqual(
      all.slice(0, THREAD_ATTRIBUTES_MAX).map((name) => `whodunit.thread_context.${name}`),
    );
    fc.assert(
      fc.property(
        fc.array(fc.string({ maxLength: 70 }), { maxLength: 300 }),
        fc.uint8Array({ maxLength: 612 }),
        (names, bytes) => {
          const result = Object.entries(shown(names, Buffer.from(bytes)));
          expect(result.length).toBeLessThanOrEqual(THREAD_ATTRIBUTES_MAX);
          for (const [name, value] of result) {
            expect(name).toMatch(/^(?:whodunit\.thread_context\.[\w.-]{1,64}|http\.\S+|rpc\.method|messaging\.\S+)$/);
            expect(String(value)).not.toMatch(/\p{Cc}/u);
          }
        },
      ),
    );
  });
});
