// SPDX-License-Identifier: Apache-2.0
// A program that writes docs/kernels.md. What the transcripts in build/kernels show replaces what results.json has of these kernels: no run
// has to boot all.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KERNELS, type Kernel } from '../../scripts/build/kernel-images.ts';
import { ROOT } from '../../scripts/stack/program.ts';
import { readMachine } from './machine.ts';
import { OBJECTS } from './objects.ts';
import { OLDER } from './older.ts';
import { HEADINGS, type Section, sectionOf } from './section.ts';

/** What no run shows: see docs/decisions/0111 and 0121. */
const BORDERS = `
## Kernels without BTF

whodunit also runs where \`/sys/kernel/btf/vmlinux\` is missing: from Linux 4.19 on. \`whodunit-loader check\` says which types are used, what is missing with them, and which fields were not found ([why](decisions/0121-a-kernel-without-btf-is-observed.md)).
Observing needs root. \`whodunit-loader calibrate\` keeps what it found for a loader with the four capabilities of a deployment, which verifies it at each start; the packaged unit runs it ([how](decisions/0119-what-was-observed-is-kept.md)).
In a container, run it on the host, and mount \`/var/lib/whodunit-loader\` read-only.

| | the kernel's BTF | a file (\`--btf\`) | observed |
| --- | --- | --- | --- |
| status, signal, sender, requests, stops | yes | yes | yes |
| arguments, ancestors | yes | yes; before 6.16 those of the terminated process as it executed them, up to 256 bytes; if it only forked: no | as with a file |
| environment | yes | from 6.16 on | from 6.16 on |
| cgroups, services, containers, pods, shares of each origin, \`--scope\` | yes | yes | yes, where the unified hierarchy of cgroups is mounted and can be written to; else no, and \`--scope\` is refused |
| paths of executables | yes | yes; before 6.16 that of the terminated process up to 128 bytes, and not in a user namespace or chroot | no: the first argument, or the comm of 15 characters |
| login users, user namespaces, host names of containers | yes | yes | no: a process in a user namespace counts as its real user |
| trap and error code of a fault | yes | yes | yes, on x86-64 |
| instruction of a fault, system call of a signal, stacks of crashes | yes | yes; on a kernel that was built without BTF, no | no |
| sizes and limit of an OOM kill | yes | yes | no; that it was one, yes |
| span contexts | yes | no | no |
| exits on Linux 7.x that come while the probe of another one is preempted | yes | counted as \`lost.missed\` | counted as \`lost.missed\` |

## Kernels that are refused

| kernel | why | instead |
| --- | --- | --- |
| PREEMPT_RT before 6.12 | a ring buffer sleeps there, in hooks that must not; those without a ring buffer were not tried | 6.12 or later |
| lockdown=confidentiality | forbids reading kernel memory | lockdown=integrity at most |
`;

const listed = (inTests: Kernel['inTests']) =>
  KERNELS.filter((kernel) => kernel.inTests === inTests)
    .map(({ name }) => name)
    .join(', ');
const TARGET = join(ROOT, 'docs/kernels.md');
const RESULTS = join(ROOT, 'test/kernels/results.json');

const results: Record<string, Section> = existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, 'utf8')) : {};
for (const { name } of KERNELS) {
  const { transcript, cases } = readMachine(name);
  const found = transcript?.ended === true && cases.length > 0 ? sectionOf(name) : null;
  if (found !== null) results[name] = found;
}
const found = KERNELS.flatMap(({ name }) => results[name] ?? []);
const missing = KERNELS.map(({ name }) => name).filter((name) => results[name] === undefined);
writeFileSync(RESULTS, `${JSON.stringify(results, null, 2)}\n`);
writeFileSync(
  TARGET,
  `# The kernel matrix

\`npm run test:kernels -- --write\` generates this page. The same loader runs on Debian's kernels, and on one that was built without BTF, under QEMU. The
conformance cases that need only our own programs run there, with cgroup v2 only. *Limited*: a value is missing or \`unknown\` in the
record because that kernel cannot show it; the lists below name the reasons. No value in a record may be wrong.

*Without BTF*: the kernel was built so, or its BTF is hidden from the loader, which observes it. \`old.bpf.c\`, \`classic.bpf.c\`: with the probes of kernels before 5.8, or before 4.17.
\`npm test\`, and with it CI, boots ${listed('all')} with all cases, and ${listed('few cases')} with a few of each kind (test/kernels/cases.ts). ${listed('nothing')} run only by
\`npm run test:kernels\`.${missing.length === 0 ? '' : ` Not yet in the table: ${missing.join(', ')}.`}

${HEADINGS}
${found.map(({ row }) => row).join('\n')}

${OBJECTS}
${found.map(({ text }) => text).join('\n')}
${OLDER}${BORDERS}`,
);
console.log(`wrote ${TARGET}`);
