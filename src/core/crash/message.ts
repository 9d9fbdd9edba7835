// SPDX-License-Identifier: Apache-2.0
// The message of an abort, as it may be shown: glibc keeps it in the program's heap, and an assertion may quote any of it.
import type { ArgumentsMode } from '../identity/arguments.ts';
import { redactText } from '../identity/redact.ts';
import type { Crash } from '../wire/crash.ts';
import { visible } from '../words/visible.ts';

export const MESSAGE_BYTES_MAX = 1024;
const CUT = '…';

/** Redacted in every mode, escaped, and cut. null: there is none, or WHODUNIT_ARGUMENTS=off. */
export function messageOf({ message }: Crash, mode: ArgumentsMode): string | null {
  const text = message?.trim() ?? '';
  return text === '' || mode === 'off' ? null : cutBytes(visible(redactText(text)));
}

function cutBytes(text: string): string {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length <= MESSAGE_BYTES_MAX) return text;
  let end = MESSAGE_BYTES_MAX - Buffer.byteLength(CUT);
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--; // not within a character
  return bytes.toString('utf8', 0, end) + CUT;
}
