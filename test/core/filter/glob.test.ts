// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { glob } from '../../../src/core/filter/glob.ts';

describe('a glob', () => {
  it.each([
    ['nginx', 'nginx', true],
    ['nginx', 'nginx2', false],
    ['*', '', true],
    ['*.service', 'a/b.service', true],
    ['/usr/*/sleep', '/usr/local/bin/sleep', true],
    ['/usr/*/sleep', '/usr/sleep', false],
    ['python3*', 'python3.11', true],
    ['a?c', 'abc', true],
    ['a?c', 'a😀c', true],
    ['a?c', 'ac', false],
    ['a\\*c', 'a*c', true],
    ['a\\*c', 'abc', false],
    ['\\', '\\', true],
    ['[a]', '[a]', true],
    ['*ab*ab', 'abab', true],
    ['*ab*ab', 'ab', false],
    ['', '', true],
    ['', 'a', false],
    ['a**b', 'ab', true],
  ])('%j and %j: %s', (pattern, text, expected) => {
    expect(glob(pattern)(text)).toBe(expected);
  });

  it('matches the same texts as the equivalent regular expression', () => {
    const alphabet = fc.constantFrom('a', 'b', '*', '?', '/');
    const words = fc.array(alphabet, { maxLength: 8 }).map((chars) => chars.join(''));
    fc.assert(
      fc.property(words, fc.array(fc.constantFrom('a', 'b', '/'), { maxLength: 12 }), (pattern, chars) => {
        const text = chars.join('');
        const expression = pattern.replaceAll('*', '[^]*').replaceAll('?', '[^]');
        expect(glob(pattern)(text)).toBe(new RegExp(`^(?:${expression})$`).test(text));
      }),
    );
  });

  it('is fast for a text made to cause backtracking', () => {
    const start = performance.now();
    expect(glob('*a*a*a*a*a*a*a*b')('a'.repeat(50_000))).toBe(false);
    expect(performance.now() - start).toBeLessThan(500);
  });
});
