// SPDX-License-Identifier: Apache-2.0
// A program that writes docs/kernels.md from the transcripts of the last run.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../scripts/stack/program.ts';
import { checkOnKernel } from './check.ts';
import { DIRECTORY, readMachine } from './machine.ts';
import { OBJECTS } from './objects.ts';

const NAMES = ['5.10', '6.1', '6.12', '7.x', 'arm64'];
const TARGET = join(ROOT, 'docs/kernels.md');

function section(name: string): { row: string; text: string } | null {
  const { cases, transcript } = readMachine(name);
  const source = join(DIRECTORY, `${name}.package`);
  if (transcript === null || !existsSync(source)) return null;
  const checked = cases.map((one) => ({ one, ...checkOnKernel(one, transcript) }));
  const wrong = checked.filter(({ differences }) => differences.length > 0);
  const limited = checked.filter(({ differences, limits }) => differences.length === 0 && limits.length > 0);
  const right = checked.length - wrong.length - limited.length;
  const left = transcript.hello?.probes.filter(({ attached }) => !attached).map(({ name: probe }) => probe) ?? [];
  const release = transcript.hello?.kernel_release ?? 'unknown';
  const row = `| ${release} | ${checked.length} | ${right} | ${limited.length} | ${wrong.length} | ${left.join(', ') || 'all'} |`;
  const reasons = new Map<string, string[]>();
  for (const { one, limits } of limited)
    for (const { reason } of limits) reasons.set(reason, [...(reasons.get(reason) ?? []), one.id]);
  const lines = [...reasons].map(([reason, ids]) => `- ${reason}: ${ids.map((id) => `\`${id}\``).join(', ')}`);
  lines.push(...wrong.map(({ one, differences }) => `- **wrong**: \`${one.id}\`: ${differences.join('; ')}`));
  const text = `## ${release}\n\nDebian's \`${readFileSync(source, 'utf8').trim()}\`.\n\n${lines.join('\n') || 'No limits.'}\n`;
  return { row, text };
}

const sections = NAMES.map(section);
if (sections.some((found) => found === null)) {
  console.error(
    `docs/kernels.md needs all of ${NAMES.join(', ')}: run \`npm run test:kernels -- --write\` without --kernel.`,
  );
  process.exit(1);
}
const found = sections.filter((one) => one !== null);
writeFileSync(
  TARGET,
  `# The kernel matrix

\`npm run test:kernels -- --write\` generates this page. The same loader and the same BPF object run on Debian's kernels under QEMU. The
conformance cases that need only our own programs run there, with cgroup v2 only. *Limited*: a value is missing or \`unknown\` in the
record because that kernel cannot show it; the lists below name the reasons. No value in a record may be wrong.

| kernel | cases | right | limited | wrong | probes not attached |
| --- | --- | --- | --- | --- | --- |
${found.map(({ row }) => row.replace(/\| all \|$/, '| none |')).join('\n')}

${OBJECTS}
${found.map(({ text }) => text).join('\n')}`,
);
console.log(`wrote ${TARGET}`);
