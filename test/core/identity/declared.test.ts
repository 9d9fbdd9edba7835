// SPDX-License-Identifier: Apache-2.0
// What a process declares about itself, parsed like its SDK does.
import { envDetector } from '@opentelemetry/resources';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseResourceAttributes } from '../../../src/core/identity/declared.ts';

describe('OTEL_RESOURCE_ATTRIBUTES', () => {
  it.each([
    [
      'pairs',
      'service.version=1.2,deployment.environment.name=prod',
      { 'service.version': '1.2', 'deployment.environment.name': 'prod' },
    ],
    ['percent-decoding of values and keys', 'a%2Cb=x%3Dy', { 'a,b': 'x=y' }],
    ['spaces around and a trailing comma', ' a = b ,', { a: 'b' }],
    ['a value with an equals sign', 'a=b=c', { a: 'b=c' }],
    ['malformed: all of it is discarded', 'a=b,c', {}],
    ['malformed percent: all of it is discarded', 'a=b,c=%zz', {}],
    ['nothing', '', {}],
    ['the key __proto__', '__proto__=x', {}],
  ])('%s', (_, text, expected) => {
    expect(parseResourceAttributes(text)).toEqual(expected);
  });
});

describe('OTEL_RESOURCE_ATTRIBUTES, compared with the OpenTelemetry SDK', () => {
  const sdk = (text: string) => {
    process.env.OTEL_RESOURCE_ATTRIBUTES = text;
    const { attributes } = envDetector.detect();
    delete process.env.OTEL_RESOURCE_ATTRIBUTES;
    return attributes ?? {};
  };
  const entry = fc.oneof(
    fc
      .tuple(fc.string({ minLength: 1, maxLength: 20 }), fc.string({ maxLength: 20 }))
      .map((pair) => pair.map(encodeURIComponent).join('=')),
    fc.constantFrom(
      '',
      ' a = b ',
      'no-equals-sign',
      '=no-key',
      'a=%zz',
      'a=%',
      'a=',
      'service.name=x%2Cy',
      'ключ=значение',
      '%C3%A4=%F0%9F%98%80',
    ),
  );

  it('has the same attributes', () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 6 }), (entries) => {
        const text = entries.join(',');
        fc.pre(!/__proto__/.test(text));
        expect(parseResourceAttributes(text)).toEqual(sdk(text));
      }),
      { numRuns: 500 },
    );
  });
});
