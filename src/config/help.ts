// SPDX-License-Identifier: Apache-2.0
// The text of --help, from the tables of commands and settings. Man page and completions are made from the same tables.
import { COMMANDS, type Command, FLAGS, type Flag } from './commands.ts';
import { KNOBS } from './knobs.ts';

const WIDTH = 120;
const COMMANDS_WIDTH = 9;
const FLAGS_WIDTH = 24;

export const commands = Object.entries<Command>(COMMANDS);
export const flags = Object.entries<Flag>(FLAGS);

/** `-n, --limit COUNT`. */
export function flagForm(name: string, flag: Flag): string {
  return `${flag.short === undefined ? '' : `-${flag.short}, `}${longForm(name, flag)}`;
}

function longForm(name: string, { value }: Flag): string {
  return `--${name}${value === undefined ? '' : ` ${value}`}`;
}

/** `whodunit list [--since TIME] …`, without the general flags. */
export function usageOf(name: string, { operands, flags: own }: Command): string {
  const parts = own.map((flag) => `[${longForm(flag, FLAGS[flag])}]`);
  return [`whodunit ${name === 'run' ? '[run]' : name}`, ...(operands === '' ? [] : [operands]), ...parts].join(' ');
}

export const EXIT_CODES = `Exit codes: 0 success, 1 failure or a problem found by doctor, 74 stdout, the only output, cannot be written, 78 invalid setting or command line. Of list, show, follow, stats, purge and filters, as of grep: 0 found, 1 nothing found, 2 error.`;

export const HELP = `whodunit finds out why a Linux process died, and what killed it.

usage: ${commands.map(([name, command]) => wrapped(usageOf(name, command), '           ')).join('\n       ')}

${commands.map(([name, { what }]) => `  ${name.padEnd(COMMANDS_WIDTH)}${wrapped(what, ' '.repeat(COMMANDS_WIDTH + 2))}`).join('\n')}

${flags.map(([name, flag]) => `  ${flagForm(name, flag).padEnd(FLAGS_WIDTH)}${wrapped(flag.what, ' '.repeat(FLAGS_WIDTH + 2))}`).join('\n')}

${wrapped(EXIT_CODES, '')}

${wrapped(
  'Set OTEL_EXPORTER_OTLP_ENDPOINT to send records to a collector; without it, each record is printed. All variables are described in docs/configuration.md: OTEL_EXPORTER_OTLP_* (also for one signal, OTEL_EXPORTER_OTLP_LOGS_*, …),',
  '',
)}
${wrapped(serviceKnobs(), '')}.`;

/** Returns the names of the variables. */
function serviceKnobs(): string {
  const names = Object.entries(KNOBS).flatMap(([name, { reader }]) => (reader === 'loader' ? [] : [name]));
  return names.join(', ');
}

/** In lines that fit a terminal; those after the first begin with `indent`. */
export function wrapped(text: string, indent: string): string {
  const width = WIDTH - indent.length;
  const lines = text.match(new RegExp(`.{1,${width}}(?: |$)`, 'g')) ?? [text];
  return lines.map((line) => line.trimEnd()).join(`\n${indent}`);
}
