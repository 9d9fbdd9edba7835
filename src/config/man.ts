// SPDX-License-Identifier: Apache-2.0
// The man page whodunit(1), from the tables of commands and settings, as --help is. man-pages(7) and man(7) define its form.
import { commands, EXIT_CODES, flags, usageOf } from './help.ts';
import { KNOBS, type Knob } from './knobs.ts';

/** `date`: of the release, `2026-11-29`. */
export function manPage(version: string): string {
  const variables = Object.entries<Knob>(KNOBS).filter(([, { reader }]) => reader !== 'loader');
  return [
    `.TH WHODUNIT 1 "" "whodunit ${version}" "User Commands"`,
    '.SH NAME',
    'whodunit \\- find out why a Linux process died, and what killed it',
    '.SH SYNOPSIS',
    ...commands.flatMap(([name, command], position) => [
      ...(position === 0 ? [] : ['.br']),
      roff(usageOf(name, command)),
    ]),
    '.SH DESCRIPTION',
    roff(
      'whodunit reports each process that crashes, is killed or exits with an error: when, why, and which process sent the signal. whodunit run is the service; whodunit-loader loads the probes. The other commands read what the service kept on this machine, also while it does not run.',
    ),
    '.SH COMMANDS',
    ...commands.flatMap(([name, { operands, what }]) => [
      '.TP',
      `.B ${roff(`${name} ${operands}`.trim())}`,
      roff(what),
    ]),
    '.SH OPTIONS',
    ...flags.flatMap(([name, { short, value, what }]) => [
      '.TP',
      `${short === undefined ? '' : `\\fB\\-${short}\\fR, `}\\fB\\-\\-${roff(name)}\\fR${value === undefined ? '' : ` \\fI${value}\\fR`}`,
      roff(what),
    ]),
    '.SH EXIT STATUS',
    roff(EXIT_CODES.replace(/^Exit codes: /, '')),
    '.SH ENVIRONMENT',
    ...variables.flatMap(([name, { what, fallback }]) => [
      '.TP',
      `.B ${roff(name)}`,
      roff(`${plain(what)}${fallback === '' ? '' : ` Default: ${fallback}.`}`),
    ]),
    '.SH FILES',
    '.TP',
    '.I /var/lib/whodunit/history',
    'What the service kept. It is for root and the group whodunit.',
    '.TP',
    '.I /etc/whodunit/whodunit.env',
    'The variables of the service.',
    '.SH EXAMPLES',
    ...EXAMPLES.flatMap(([line, what]) => ['.TP', `.B ${roff(line)}`, what]),
    '',
  ].join('\n');
}

const EXAMPLES = [
  [
    'whodunit list --since yesterday --cause oom_kill',
    'What the kernel killed since yesterday, because memory was short.',
  ],
  ['whodunit show last', 'The whole report of the last termination.'],
  ['whodunit follow --service web', 'Reports of one service as they come.'],
  ['whodunit stats --since 7d', 'Counts of the last week.'],
] as const;

/** Without the Markdown of the documentation. */
function plain(markdown: string): string {
  return markdown.replace(/\[([^\]]+)\]\([^)]+\)/g, '$1').replaceAll('`', '');
}

/** ASCII: a line must not begin with a dot or a quote, and a hyphen is a minus. */
function roff(text: string): string {
  const ascii = text.replaceAll('…', '...').replaceAll('’', "'");
  return ascii
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/, '\\&$1');
}
