// SPDX-License-Identifier: Apache-2.0
// Text for people that contains names which a process chose.

/**
 * Such a name must not control a terminal, nor begin a new line, nor look like another one, wherever the text is read: controls, those of the
 * direction of writing, and what is invisible are escaped, as in JSON.
 */
export function visible(value: string): string {
  return value.replace(UNPRINTABLE, escaped);
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

const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;
