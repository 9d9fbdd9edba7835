// SPDX-License-Identifier: Apache-2.0
// docs/deaths.md, from a run in which the others took part. Pure.
import type { Peer } from './peers/peer.ts';
import type { Run } from './run.ts';
import { toolRows } from './table.ts';
import { rowsOf, total } from './tally.ts';
import { ourWords, truthWords, weighedWords } from './words.ts';

/** Where it was made. */
export interface Machine {
  /** uname's release, without what a distribution adds. */
  readonly kernel: string;
  /** PRETTY_NAME of os-release. */
  readonly distribution: string;
  /** By the name of the package. */
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
    const what = `${scored.one.name} (\`${scored.one.happens}\`${times === 1 ? '' : `, ${times} times`})`;
    return [what, truthWords(truth, expected), isRight ? 'right' : `**${said}**`, ...others];
  });
  return `# The score

Made by \`npm run deaths -- --compare --write\`: real programs die on the real kernel, and what is told of each is held against the
truth, which comes from outside: the status from \`waitid\`, the killer from who was ordered to kill. ${machine.distribution}, Linux
${machine.kernel}.

**whodunit: ${cases} cases, ${deaths} deaths: ${right} right, ${wrong} wrong; ${missed} missed, ${doubled} doubled, ${invented} invented,
${lost} lost.** Right means the whole record: besides status and sender the cause, the times, the executable, arguments, user, cgroup,
the sender's command line and ancestors (\`test/deaths/compare.ts\`). ${skippedWords(run)}

## Beside others

The others ran at the same time, in front of the same deaths, and are measured by less: the status, and the sender's pid.

${markdown(toolRows(run, names))}

${commands.join('\n')}

How they are read (\`test/deaths/score/weigh.ts\`, for whodunit too); in doubt for the tool:

- Deaths of one case count once if they are alike: the same truth, and the same said of each by everybody. Exits with code 0 do not
  count.
- *Status*: the exit code or the signal is what \`waitid\` gave. *Missed*: no line about the process. *Doubled*: the right one more
  than once. *Invented*: the right one, and another end that never was. Lines about threads do not count where the tool shows that
  they are threads, so forkstat is asked to show clones too.
- *Sender*: a process that the tool shows sending the fatal signal, or the signal that a handler took before the end, to the dead.
  Where it shows several, the right one among them is enough. *Not told*: there was a sender, and no line about one.
- *Kernel's, a process named*: the kernel decided (a timer, a terminal, the end of the parent, …), and the tool shows a process that
  happened to run then. The dead itself and the idle task name nobody, and neither does bpftrace where it shows \`si_code\` to be the
  kernel's.
- What a tool cannot tell at all is –. None of the others tells why the kernel sent a signal; that is not counted against them.

\`npm run deaths -- --help\` has more: several runs in a row, a fork storm meanwhile, single cases.

## Case by case

**Bold** is what a tool said where it was wrong.

${markdown([['what happens', 'truth', 'whodunit', ...names], ...rows])}
`;
}

function skippedWords({ skipped }: Run): string {
  if (skipped.length === 0) return 'No case was left out.';
  return `Left out here: ${skipped.map(({ happens, skip }) => `\`${happens}\` (${skip})`).join(', ')}.`;
}

function markdown([header = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}
