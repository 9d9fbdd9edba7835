// SPDX-License-Identifier: Apache-2.0
// THIRD-PARTY-NOTICES: the licences of what others wrote and whodunit's packages have in them, each text once.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../base/command.ts';
import type { Part } from './contents.ts';

const LICENCE = /^(?:un)?licen[cs]e|^copying/i;
const NOTICE = /^notice/i;
const LINE = '-'.repeat(80);

/** Throws a Failure that names the parts without a licence. A part may be listed more than once. */
export function notices(parts: readonly Part[]): string {
  const missing = parts.filter(({ directory }) => !filesOf(directory).some((name) => LICENCE.test(name)));
  if (missing.length > 0)
    throw new Failure(
      `The packages need the licence of each part, and these have no LICENSE or COPYING: ${missing.map(({ name }) => name).join(', ')}. Use others, or ask their authors for one.`,
    );
  const owners = new Map<string, Set<string>>();
  for (const { name, version, directory } of parts) {
    const text = textOf(directory);
    owners.set(text, (owners.get(text) ?? new Set()).add(`${name} ${version}`));
  }
  const sections = [...owners].map(([text, names]) => `${LINE}\n${[...names].join('\n')}\n${LINE}\n\n${text}`);
  return `whodunit contains this software of others, under these licences.\n\n${sections.join('\n\n')}\n`;
}

function textOf(directory: string): string {
  const names = filesOf(directory).filter((name) => LICENCE.test(name) || NOTICE.test(name));
  return names.map((name) => readFileSync(join(directory, name), 'utf8').trim()).join('\n\n');
}

function filesOf(directory: string): string[] {
  const entries = readdirSync(directory, { withFileTypes: true });
  return entries.flatMap((entry) => (entry.isFile() ? [entry.name] : [])).sort();
}
