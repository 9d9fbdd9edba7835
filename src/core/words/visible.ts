// SPDX-License-Identifier: Apache-2.0
// Text for people that contains names which a process chose.

/**
 * Such a name must not control a terminal, nor begin a new line, nor look like another one, wherever the text is read: controls, those of the
 * direction of writing, and what is invisible are escaped, as in JSON.
 */
export function visible(value: string): string {
  return UNUSUAL.test(value) ? value.replace(UNPRINTABLE, escaped) : value;
}

/** JSON for a terminal or a log: it parses to the same value. */
export function visibleJson(value: unknown, replacer: Replacer | null = null, indentation = 0): string {
  // JSON.stringify() has escaped the line feeds of values: the others are its own.
  return JSON.stringify(value, replacer ?? undefined, indentation).replace(UNPRINTABLE, (char) =>
    char === '\n' ? char : escaped(char),
  );
}

type Replacer = (key: string, value: unknown) => unknown;

function escaped(char: string): string {
  // By code units: a character beyond U+FFFF has two.
  return char
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}

/** Nearly all texts have only these: a tenth of the time. */
const UNUSUAL = /[^\u0020-\u007e\u00b7\u00d7\u2026\u2190]/;
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;
