// SPDX-License-Identifier: Apache-2.0
// Values of filters are globs (core/glob.ts), and a process may choose a name with an asterisk.

/** The glob that matches this text only. */
export function literal(text: string): string {
  return text.replace(/[*?\\]/g, '\\$&');
}
