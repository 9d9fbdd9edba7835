// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import protobuf from 'protobufjs/minimal.js';
import { describe, expect, it } from 'vitest';
import { resourceOf } from '../../src/core/enrich.ts';
import { parseProcessContext } from '../../src/core/process-context.ts';
import { exitedWith, victim } from '../deadly.ts';
import { host } from './host.ts';

/** A Resource as a publisher writes it. `write` puts the field of the AnyValue. */
function published(...attributes: readonly [string, (value: protobuf.Writer) => unknown][]): string {
  const resource = protobuf.Writer.create();
  for (const [key, write] of attributes) {
    resource.uint32(10).fork().uint32(10).string(key);
    write(resource.uint32(18).fork());
    resource.ldelim().ldelim();
  }
  resource.uint32(16).uint32(3); // dropped_attributes_count
  return Buffer.from(resource.finish()).toString('base64');
}

const text = (value: string) => (writer: protobuf.Writer) => writer.uint32(10).string(value);

describe('the published context', () => {
  it('is read with the types of its values', () => {
    const context = published(
      ['service.name', text('checkout')],
      ['canary', (writer) => writer.uint32(16).bool(true)],
      ['replica', (writer) => writer.uint32(24).int64(7)],
      ['weight', (writer) => writer.uint32(33).double(0.5)],
      ['list', (writer) => writer.uint32(42).bytes(Buffer.from('x'))],
    );
    expect(parseProcessContext(context)).toEqual({ 'service.name': 'checkout', canary: true, replica: 7, weight: 0.5 });
  });

  it('is nothing where there is none, or where it is none', () => {
    expect(parseProcessContext(null)).toEqual({});
    expect(parseProcessContext(published(['a', text('b')]).slice(0, -8))).toEqual({});
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(typeof parseProcessContext(Buffer.from(bytes).toString('base64'))).toBe('object');
      }),
    );
  });

  it('has limits: 64 attributes, 1,024 characters each', () => {
    const many = Array.from({ length: 100 }, (_, index) => [`k${index}`, text('x'.repeat(2000))] as const);
    const read = parseProcessContext(published(...many.map(([key, write]) => [key, write] as [string, typeof write])));
    expect(Object.keys(read)).toHaveLength(64);
    expect(new Set(Object.values(read).map((value) => String(value).length))).toEqual(new Set([1024]));
  });
});

describe('the name of the service', () => {
  const env = {
    OTEL_SERVICE_NAME: 'by-variable',
    OTEL_RESOURCE_ATTRIBUTES: 'service.name=by-list,service.version=1,team=a',
  };
  const resource = (changes: object) =>
    resourceOf(exitedWith(1, { process: victim({ env, ...changes }) }), host, 'off');

  it('is the published one, before that of the variables', () => {
    const context = published(['service.name', text('published')], ['service.version', text('2')]);
    expect(resource({ otel_context: context })).toMatchObject({
      'service.name': 'published',
      'service.version': '2',
      team: 'a',
    });
  });

  it('is that of the variables where the context names none', () => {
    expect(resource({ otel_context: published(['service.version', text('2')]) })).toMatchObject({
      'service.name': 'by-variable',
      'service.version': '2',
    });
    expect(resource({})).toMatchObject({ 'service.name': 'by-variable', 'service.version': '1' });
  });

  it('is published, and what the kernel says of the process stays', () => {
    const context = published(['process.pid', (writer) => writer.uint32(24).int64(1)], ['container.id', text('c')]);
    expect(resource({ otel_context: context, build_id: 'ab12' })).toMatchObject({
      'process.pid': 4242,
      'container.id': 'c',
      'process.executable.build_id.gnu': 'ab12',
    });
  });
});
