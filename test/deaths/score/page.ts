// SPDX-License-Identifier: Apache-2.0
// Renders docs/deaths.md from a run with the other tools. Pure.
import type { Peer } from './peers/peer.ts';
import type { Run } from './run.ts';
import { toolRows } from './table.ts';
import { rowsOf, total } from './tally.ts';
import { ourWords, truthWords, weighedWords } from './words.ts';

/** The machine of the run. */
export interface Machine {
  /** The release of uname, without the suffix of the distribution. */
  readonly kernel: string;
  /** PRETTY_NAME of os-release. */
  readonly distribution: string;
  /** By package name. */
  readonly versions: ReadonlyMap<string, string>;
}

export function page(run: Run, peers: readonly Peer[], machine: Machine): string {
  const names = peers.map(({ name }) => name);
  const { cases, deaths, right, wrong, missed, doubled, invented, lost } = total(run);
  const commands = peers.map(
    ({ name, package: from, command }) =>
      `- ${name}: Debian's \`${from}\` ${machine.versions.get(from)}, \`${command.join(' ').replace(/\s+/g, ' ')}\``,
  );
  const rows = rowsOf(run).map(({ scored, times }) => {
    const { said, right: isRight } = ourWords(scored);
    const { truth, expected } = scored.finding;
    const others = names.map((name) => weighedWords(scored.weighed.get(name)));
    const what = `${scored.one.name} (\`${scored.one.id}\`${times === 1 ? '' : `, ${times} times`})`;
    return [what, truthWords(truth, expected), isRight ? 'right' : `**${said}**`, ...others];
  });
  return `# Accuracy

\`npm run deaths -- --compare --write\` generates this page. Real programs die on the real kernel, and each record is compared with the
truth, which comes from outside: the status from \`waitid\`, the sender from the test, which ordered the kill. ${machine.distribution}, Linux
${machine.kernel}.

**whodunit: ${cases} cases, ${deaths} deaths: ${right} right, ${wrong} wrong; ${missed} missed, ${doubled} doubled, ${invented} invented,
${lost} lost.** Right means that the whole record is right: besides status and sender also the cause, the times, the executable, arguments,
user, cgroup, and the sender's command line and ancestors (\`test/deaths/compare.ts\`). ${skippedWords(run)}

## Comparison with other tools

The other tools ran at the same time and saw the same cases. They are scored on less: the status and the sender's pid.

${markdown(toolRows(run, names))}

${commands.join('\n')}

How the output is scored (\`test/deaths/score/weigh.ts\`, for whodunit too). If the output is ambiguous, the better reading counts:

- Terminations of one case count once if the truth and the output of every tool are the same. Exits with code 0 do not count.
- *Status*: the exit code or the signal is the one from \`waitid\`. *Missed*: no line about the process. *Doubled*: the right status more
  than once. *Invented*: the right status, and another termination that did not happen. Lines about threads do not count if the tool
  shows that they are threads, so forkstat runs with the option to show clones.
- *Sender*: a process that the tool shows sending the fatal signal, or the signal that a handler took before the termination, to the
  victim. If the tool shows several, one right sender is enough. *Not reported*: there was a sender, and the tool printed no line about
  one.
- *From the kernel, a process named*: the kernel sent the signal (a timer, a terminal, the exit of the parent, …), and the tool shows a
  process that happened to run at that time. A line that shows the victim itself or the idle task names no process. Neither does a line
  of bpftrace whose \`si_code\` is the kernel's.
- – means that the tool cannot report this at all. None of the other tools reports why the kernel sent a signal; that is not counted
  against them.

\`npm run deaths -- --help\` has more options: several runs in a row, a fork storm meanwhile, single cases.

## Case by case

Where a tool was wrong, its output is in **bold**.

${markdown([['what happens', 'truth', 'whodunit', ...names], ...rows])}
`;
}

function skippedWords({ skipped }: Run): string {
  if (skipped.length === 0) return 'No case was left out.';
  return `Left out here: ${skipped.map(({ id, skip }) => `\`${id}\` (${skip})`).join(', ')}.`;
}

function markdown([header = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}
