// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseProcessContext } from '../../../src/core/identity/process-context.ts';
import { exitedWith, victim } from '../../support/deadly.ts';
import { resourceOfVictim } from '../../support/derived.ts';
import { processContext, published, text } from '../../support/published.ts';

describe('the published context', () => {
  it('is read with the types of its values', () => {
    const context = published(
      ['service.name', text('checkout')],
      ['canary', (writer) => writer.uint32(16).bool(true)],
      ['replica', (writer) => writer.uint32(24).int64(7)],
      ['weight', (writer) => writer.uint32(33).double(0.5)],
      ['list', (writer) => writer.uint32(42).bytes(Buffer.from('x'))],
    );
    const resource = { 'service.name': 'checkout', canary: true, replica: 7, weight: 0.5 };
    expect(parseProcessContext(context)).toEqual({ resource, attributes: {}, threadKeys: [] });
  });

  it('is a resource, and attributes for readers', () => {
    const context = processContext(
      [
        ['service.name', text('checkout')],
        ['service.version', text('7')],
      ],
      [
        ['threadlocal.schema_version', text('tls_v1')],
        ['threadlocal.attribute_key_map', (writer) => writer.uint32(42).bytes(Buffer.from('x'))],
      ],
    );
    expect(parseProcessContext(context)).toEqual({
      resource: { 'service.name': 'checkout', 'service.version': '7' },
      attributes: { 'threadlocal.schema_version': 'tls_v1' },
      threadKeys: [],
    });
    expect(parseProcessContext(processContext([], []))).toEqual({ resource: {}, attributes: {}, threadKeys: [] });
  });

  it('is empty if it is absent or malformed', () => {
    const nothing = { resource: {}, attributes: {}, threadKeys: [] };
    expect(parseProcessContext(null)).toEqual(nothing);
    expect(parseProcessContext(published(['a', text('b')]).slice(0, -8))).toEqual(nothing);
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(typeof parseProcessContext(Buffer.from(bytes).toString('base64'))).toBe('object');
      }),
    );
  });

  it('has limits: 64 attributes, 1,024 characters each', () => {
    const many = Array.from({ length: 100 }, (_, index) => [`k${index}`, text('x'.repeat(2000))] as const);
    const { resource, attributes: besides } = parseProcessContext(processContext(many, many));
    for (const read of [parseProcessContext(published(...many)).resource, resource, besides]) {
      expect(Object.keys(read)).toHaveLength(64);
      expect(new Set(Object.values(read).map((value) => String(value).length))).toEqual(new Set([1024]));
    }
  });
});

describe('the name of the service', () => {
  const env = {
    OTEL_SERVICE_NAME: 'by-variable',
    OTEL_RESOURCE_ATTRIBUTES: 'service.name=by-list,service.version=1,team=a',
  };
  const resource = (changes: object) =>
    resourceOfVictim(exitedWith(1, { process: victim({ env, ...changes }) }), 'off');

  it('is the published one, before those of the environment', () => {
    const context = published(['service.name', text('published')], ['service.version', text('2')]);
    expect(resource({ otel_context: context })).toMatchObject({
      'service.name': 'published',
      'service.version': '2',
      team: 'a',
    });
  });

  it('is that of the environment if the context has none', () => {
    expect(resource({ otel_context: published(['service.version', text('2')]) })).toMatchObject({
      'service.name': 'by-variable',
      'service.version': '2',
    });
    expect(resource({})).toMatchObject({ 'service.name': 'by-variable', 'service.version': '1' });
  });

  it('never replaces a fact from the kernel', () => {
    const context = published(['process.pid', (writer) => writer.uint32(24).int64(1)], ['container.id', text('c')]);
    const facts = resource({ otel_context: context, build_id: 'ab12' });
    expect(facts).toMatchObject({ 'process.pid': 4242, 'process.executable.build_id.gnu': 'ab12' });
    expect(facts['container.id']).toBeUndefined();
  });
});
