// SPDX-License-Identifier: Apache-2.0
// `npm run generate:exit-codes`: writes docs/exit-codes.md from the data in src/core/. `--check` only compares.
import { SIGNAL_MAX, SIGRTMIN, signalName } from '../../src/core/verdict/signals.ts';
import { EXIT_CODES, SIGNAL_BASE, SIGNAL_BASE_SOURCE, SUCCESS } from '../../src/core/words/exit-codes.ts';
import { REALTIME_MEANING, SIGNAL_MEANINGS, SIGNAL_SOURCE } from '../../src/core/words/signal-meanings.ts';
import { writeOrCheck } from './fresh.ts';

writeOrCheck({ 'docs/exit-codes.md': page() }, 'npm run generate:exit-codes');

function page(): string {
  const parts = [
    '<!-- Generated from src/core/words/exit-codes.ts and signal-meanings.ts by `npm run generate:exit-codes`: not to be edited. -->',
    '# Exit codes and signals',
    'The meanings that `whodunit explain` prints and that records have in `whodunit.exit.meaning`. The table of a program has precedence over the conventions.',
    `Exit code ${SUCCESS}`,
    ...EXIT_CODES.flatMap(({ title, executables, aliases = [], source, codes }) => [
      `## ${title}`,
      [names('Executables', executables), names('Aliases', aliases), `Source: ${source}.`]
        .filter((line) => line !== '')
        .join('\n'),
      table('exit code', Object.entries(codes)),
    ]),
    '## Convention: 128 + signal',
    `Source: ${SIGNAL_BASE_SOURCE}.`,
    table('exit code', [
      [
        `${SIGNAL_BASE + 1} to ${SIGNAL_BASE + SIGNAL_MAX}`,
        'by convention, signal (code − 128) terminated it or a child of it',
      ],
    ]),
    '## Signals',
    `Source: ${SIGNAL_SOURCE}. Numbers of x86 and arm64.`,
    table('signal', [
      ...Object.entries(SIGNAL_MEANINGS).map(
        ([signo, text]) => [`${signalName(Number(signo))} (${signo})`, text] as const,
      ),
      [`SIGRTMIN (${SIGRTMIN}) to SIGRTMAX (${SIGNAL_MAX})`, REALTIME_MEANING],
    ]),
  ];
  return `${parts.join('\n\n')}\n`;
}

function names(label: string, list: readonly string[]): string {
  return list.length === 0 ? '' : `${label}: ${list.map((name) => `\`${name}\``).join(', ')}.`;
}

function table(head: string, rows: readonly (readonly [key: string, text: string])[]): string {
  return [`| ${head} | meaning |`, '| --- | --- |', ...rows.map(([key, text]) => `| ${key} | ${text} |`)].join('\n');
}
