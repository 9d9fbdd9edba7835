// SPDX-License-Identifier: Apache-2.0
// What a machine of the last run showed, as docs/kernels.md says it: its row in the table, and what is limited or wrong. Run as a program, it prints
// that of a kernel: `section.ts NAME`.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { checkOnKernel, type KernelCheck } from './check.ts';
import { hasClassicProbes, hasOldProbes, isObserved } from './limits.ts';
import { DIRECTORY, readMachine } from './machine.ts';
import type { Transcript } from './transcript.ts';

export const HEADINGS = `| kernel | cases | right | limited | wrong | probes not attached |
| --- | --- | --- | --- | --- | --- |`;

const IDS_MAX = 100;

/** What the page has of a kernel. */
export interface Section {
  readonly row: string;
  readonly text: string;
}

/** null: the machine was not booted. `title`: of the row; else the kernel's release. */
export function sectionOf(name: string, title?: string): Section | null {
  const { cases, transcript } = readMachine(name);
  const source = join(DIRECTORY, `${name}.package`);
  if (transcript === null || !existsSync(source)) return null;
  const checked = cases.map((one) => ({ id: one.id, ...checkOnKernel(one, transcript) }));
  const wrong = checked.filter(({ differences }) => differences.length > 0);
  const limited = checked.filter(({ differences, limits }) => differences.length === 0 && limits.length > 0);
  const right = checked.length - wrong.length - limited.length;
  const left = transcript.hello?.probes.filter(({ attached }) => !attached).map(({ name: probe }) => probe) ?? [];
  const release = title ?? transcript.hello?.kernel_release ?? 'unknown';
  const used = `${isObserved(transcript) ? ', without BTF' : ''}${otherProbes(transcript)}`;
  const missed = transcript.status?.lost.missed ?? 0n;
  const lines = [
    ...limitLines(limited),
    ...(missed > 0n
      ? [`- the kernel skipped the probe for ${missed} exits of threads, which are counted (\`lost.missed\`)`]
      : []),
    ...wrong.map(({ id, differences }) => `- **wrong**: \`${id}\`: ${differences.join('; ')}`),
  ];
  return {
    row: `| ${release}${used} | ${checked.length} | ${right} | ${limited.length} | ${wrong.length} | ${left.join(', ') || 'none'} |`,
    text: `## ${release}${used}\n\n\`${readFileSync(source, 'utf8').trim()}\`.${foundTypes(transcript)}\n\n${lines.join('\n') || 'No limits.'}\n`,
  };
}

function otherProbes(transcript: Transcript): string {
  if (hasClassicProbes(transcript)) return ', `classic.bpf.c`';
  return hasOldProbes(transcript) ? ', `old.bpf.c`' : '';
}

function limitLines(limited: readonly (KernelCheck & { readonly id: string })[]): readonly string[] {
  const reasons = new Map<string, string[]>();
  for (const { id, limits } of limited)
    for (const { reason } of limits) reasons.set(reason, [...(reasons.get(reason) ?? []), id]);
  return [...reasons].map(([reason, ids]) => `- ${reason}: ${listOf(ids)}`);
}

/** The cases; of many, only their number. */
function listOf(ids: readonly string[]): string {
  return ids.length > IDS_MAX ? `${ids.length} cases` : ids.map((id) => `\`${id}\``).join(', ');
}

/** How often the types of a kernel without BTF were found, and whether they are right. */
function foundTypes({ calibrated, described }: Transcript): string {
  const [first] = calibrated;
  if (first === undefined) return '';
  const same = calibrated.filter(({ found }) => isDeepStrictEqual(found?.offsets, first.found?.offsets)).length;
  const right = Object.entries(described ?? {}).filter(([name, at]) => first.found?.offsets[name] === at).length;
  return [
    ` Its types were found ${calibrated.length} times, ${same} times the same fields`,
    described === null
      ? '.'
      : `: ${right} of ${Object.keys(described).length} are where its BTF, which is hidden, has them.`,
  ].join('');
}

if (process.argv[1] === import.meta.filename) {
  const [, , name = ''] = process.argv;
  const section = sectionOf(name, name);
  if (section === null) throw new Error(`${name} was not booted`);
  console.log(`\n${HEADINGS}\n${section.row}\n\n${section.text}`);
}
