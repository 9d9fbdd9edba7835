// SPDX-License-Identifier: Apache-2.0
// Text for people that contains names which a process chose.

/**
 * Such a name must not control a terminal, nor begin a new line, wherever the text is read: C0, DEL, C1 and bidirectional controls are
 * escaped.
 */
export function visible(value: string): string {
  return value.replace(UNPRINTABLE, (char) => `\\u${(char.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`);
}

const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
