// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { Memo, textKey } from '../../src/core/memo.ts';

describe('a memo', () => {
  const counted = () => {
    let times = 0;
    const of = (key: string) => () => {
      times += 1;
      return `${key} ${times}`;
    };
    return { of };
  };

  it('computes a result once, as long as it is among the last ones', () => {
    const memo = new Memo<string>(2);
    const { of } = counted();
    expect(memo.of('a', of('a'))).toBe('a 1');
    expect(memo.of('a', of('a'))).toBe('a 1');
    expect(memo.of('b', of('b'))).toBe('b 2');
    expect(memo.of('a', of('a'))).toBe('a 1');
  });

  it('forgets what was not asked for lately', () => {
    const memo = new Memo<string>(2);
    const { of } = counted();
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) memo.of(key, of(key));
    expect(memo.of('a', of('a'))).toBe('a 7');
  });

  it('does not keep long keys', () => {
    const memo = new Memo<string>(2);
    const { of } = counted();
    const long = 'x'.repeat(2_000);
    memo.of(long, of('x'));
    expect(memo.of(long, of('x'))).toBe('x 2');
  });
});

describe('the key of texts', () => {
  it.each([
    [[], ['']],
    [
      ['a', 'b'],
      ['ab', ''],
    ],
    [['a b'], ['a', 'b']],
  ])('remembers %j and %j separately', (one, other) => {
    expect(textKey(one)).not.toBe(textKey(other));
  });
});
