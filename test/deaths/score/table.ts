// SPDX-License-Identifier: Apache-2.0
// The output of `npm run deaths`: a table of the cases, the errors in full, the totals. Pure.
import { type Run, WHODUNIT } from './run.ts';
import { rowsOf, tallySender, tallyStatus, total } from './tally.ts';
import { caseWords, NOTHING, ourWords, truthWords, weighedWords } from './words.ts';

/** `tools`: the tools that get a column beside whodunit. */
export function table(run: Run, tools: readonly string[]): string {
  const header = ['case', 'truth', 'verdict', '', ...tools];
  const rows = rowsOf(run).map(({ scored, times }) => {
    const { said, right } = ourWords(scored);
    const { truth, expected } = scored.finding;
    const others = tools.map((tool) => weighedWords(scored.weighed.get(tool)).replaceAll('**', ''));
    return [caseWords(scored.one.id, times), truthWords(truth, expected), said, right ? 'right' : 'WRONG', ...others];
  });
  return aligned([header, ...rows]);
}

/** The errors and the totals. The last line is about whodunit. */
export function summary(run: Run, tools: readonly string[]): string {
  const lines: string[] = [];
  for (const { one, finding } of run.scored)
    if (finding.differences.length > 0) {
      const evidence = finding.records.map(({ attributes }) => `  evidence: ${attributes['whodunit.evidence']}`);
      lines.push(`WRONG ${one.id}:`, ...finding.differences.map((text) => `  ${text}`), ...evidence);
    }
  for (const { one, why } of run.failed) lines.push(`WRONG ${one.id} could not run: ${why}`);
  for (const { pid, exe } of run.review.doubled) lines.push(`WRONG two records of the death of ${exe} (pid ${pid})`);
  for (const { body } of run.review.invented) lines.push(`WRONG invented: ${body}`);
  for (const complaint of run.complaints) lines.push(`WRONG ${complaint}`);
  for (const { id, skip } of run.skipped) lines.push(`skipped: ${id} (${skip})`);
  if (tools.length > 0) lines.push(aligned(toolRows(run, tools)), '');
  const { cases, deaths, right, wrong, missed, doubled, invented, lost } = total(run);
  lines.push(
    `${cases} cases, ${deaths} deaths: ${right} right, ${wrong} wrong; ${missed} missed, ${doubled} doubled, ${invented} invented, ${lost} lost`,
  );
  return lines.join('\n');
}

/** The tools side by side, the header first. Shares count only rows with a status, or a sender, to report. */
export function toolRows(run: Run, tools: readonly string[]): string[][] {
  const header = ['tool', 'status right', 'wrong', 'missed', 'doubled', 'invented'];
  const senders = ['sender right', 'wrong', 'not reported', 'from the kernel, a process named'];
  const all = rowsOf(run);
  const rows = [WHODUNIT, ...tools].map((tool) => {
    const status = tallyStatus(all, tool);
    const sender = tallySender(all, tool);
    return [
      tool,
      ...(status === null
        ? Array(5).fill(NOTHING)
        : [share(status.right, status.of), status.wrong, status.missed, status.doubled, status.invented]),
      ...(sender === null
        ? Array(4).fill(NOTHING)
        : [share(sender.right, sender.of), sender.wrong, sender.silent, sender.blamed]),
    ].map(String);
  });
  return [[...header, ...senders], ...rows];
}

function share(count: number, of: number): string {
  return `${count}/${of}`;
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
