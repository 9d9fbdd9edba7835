// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { visible, visibleJson } from '../../../src/core/words/visible.ts';

const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u;
/** But surrogates, which no text has alone. */
const characters = [
  ...Array(0xd800).keys(),
  ...Array.from({ length: 0x2000 }, (_, at) => 0xe000 + at),
  0xe0041,
  0x1f600,
].map((code) => String.fromCodePoint(code));

it('what controls a terminal, a line or the direction of writing, or is invisible, is escaped, and nothing else', () => {
  const wrong = characters.filter((char) => (visible(char) === char) === UNPRINTABLE.test(char));
  expect(wrong.map((char) => char.codePointAt(0)?.toString(16))).toEqual([]);
  expect(visible('a\u{e0041}b')).toBe('a\\udb40\\udc41b');
});

it('JSON parses to the same, and only its own line feeds are there', () => {
  const value = { name: characters.join('') };
  const text = visibleJson(value, null, 2);
  expect(JSON.parse(text)).toEqual(value);
  expect(text.split('\n').map(visible).join('\n')).toBe(text);
});
