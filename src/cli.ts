// SPDX-License-Identifier: Apache-2.0
// Command line and environment → one tagged union with the settings of each command. Rejects flags that the command does not have.
// config/read.ts reads the environment.
import { parseArgs } from 'node:util';
import type { Env } from './config/env.ts';
import { KNOBS } from './config/knobs.ts';
import {
  type DoctorSettings,
  type OutputForm,
  type RulesSettings,
  type RunSettings,
  readDoctorSettings,
  readRulesSettings,
  readRunSettings,
  readUiSettings,
  type UiSettings,
} from './config/read.ts';
import { configError, EXIT_CONFIG, FatalError } from './core/errors.ts';

export type Config =
  | ({ readonly command: 'run' } & RunSettings)
  /** `test`: terminate a child process and follow its record. */
  | ({ readonly command: 'doctor'; readonly test: boolean } & DoctorSettings)
  /** `dryRun`: try the rules on recent terminations instead of listing them. */
  | ({ readonly command: 'rules'; readonly dryRun: boolean } & RulesSettings)
  | ({ readonly command: 'ui' } & UiSettings)
  /** `what`: an exit code or a signal. */
  | { readonly command: 'explain'; readonly what: string; readonly executable: string | null }
  | { readonly command: 'help' }
  | { readonly command: 'version' };

export const HELP = `whodunit finds out why a Linux process died, and what killed it.

usage: whodunit [run] [--output text|json] [--config FILE]
       whodunit doctor [--test] [--config FILE]
       whodunit rules [--dry-run] [--config FILE]
       whodunit ui [--port N] [--no-open]
       whodunit explain <exit code | signal> [--executable NAME]

  run      send a record of each abnormal termination to a collector, or print it (the default command)
  doctor   check every step from the kernel to the collector, print a remedy for each problem, exit with 1 if there is one
  rules    list the filter rules that decide what is reported, or try them on recent terminations
  ui       show the history as a page in the browser: prints a link to it, opens it, ends with Ctrl-C
  explain  explain an exit code or a signal: explain 137, explain SIGBUS, explain --executable node 7

  --output text|json   print each record on stdout, even if it is also sent to a collector
  --config FILE        a YAML file with filter rules, tried before the built-in ones; SIGHUP reloads it
  --test               kill a child process, follow its record to the collector, and name the step that fails
  --dry-run            get recent terminations from the running service and show which rule matches each
  --port N             the port of the page, on 127.0.0.1; by default a free one
  --no-open            only print the link
  --executable NAME    the program that exited: its name, or a language (jvm, rust, …)
  --help, --version

Exit codes: 0 success, 1 failure or a problem found by doctor, 74 stdout, the only output, cannot be written, 78 invalid setting or
command line.

Set OTEL_EXPORTER_OTLP_ENDPOINT to send records to a collector; without it, each record is printed. All variables are
described in docs/configuration.md: OTEL_EXPORTER_OTLP_* (also for one signal, OTEL_EXPORTER_OTLP_LOGS_*, …),
${serviceKnobs()}.`;

/** Returns the names of the variables, in lines that fit a terminal. */
function serviceKnobs(): string {
  const names = Object.entries(KNOBS).flatMap(([name, { reader }]) => (reader === 'loader' ? [] : [name]));
  return names
    .join(', ')
    .replace(/(.{1,110})(?: |$)/g, '$1\n')
    .trimEnd();
}

const FLAGS = {
  output: { type: 'string' },
  config: { type: 'string' },
  test: { type: 'boolean' },
  'dry-run': { type: 'boolean' },
  port: { type: 'string' },
  'no-open': { type: 'boolean' },
  executable: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const;

type FlagName = keyof typeof FLAGS;
type CommandName = 'run' | 'doctor' | 'rules' | 'ui' | 'explain';

/** The flags of each command, besides --help and --version. */
const COMMANDS: Readonly<Record<CommandName, readonly FlagName[]>> = {
  run: ['output', 'config'],
  doctor: ['test', 'config'],
  rules: ['dry-run', 'config'],
  ui: ['port', 'no-open'],
  explain: ['executable'],
};

/** Reads the command line and the environment. Throws a FatalError with exit code 78. */
export function readConfig(argv: readonly string[], env: Env): Config {
  // Parse leniently first: the error for a flag of another command can then list the flags of this one.
  const given = parseArgs({ args: [...argv], options: FLAGS, allowPositionals: true, strict: false, tokens: true });
  if (given.values.help) return { command: 'help' };
  if (given.values.version) return { command: 'version' };
  const [name = 'run', operand, ...rest] = given.positionals;
  const complete = name === 'explain' ? operand !== undefined && operand !== '' : operand === undefined;
  if (!Object.hasOwn(COMMANDS, name) || !complete || rest.length > 0) {
    const allowed = 'run, doctor, rules, ui, explain <exit code | signal>';
    throw configError('the command', given.positionals.join(' '), allowed, 'See whodunit --help.');
  }
  const command = name as CommandName;
  rejectOtherFlags(command, given.tokens);
  const values = parseStrictly(argv);
  const file = values.config ?? null;
  switch (command) {
    case 'run':
      return { command, ...readRunSettings(env, file, outputForm(values.output)) };
    case 'doctor':
      return { command, test: values.test === true, ...readDoctorSettings(env, file) };
    case 'rules':
      return { command, dryRun: values['dry-run'] === true, ...readRulesSettings(env, file) };
    case 'ui':
      return { command, ...readUiSettings(env, values.port, values['no-open'] !== true) };
    case 'explain':
      return { command, what: operand ?? '', executable: values.executable ?? null };
  }
}

interface Token {
  readonly kind: string;
  readonly name?: string;
  readonly rawName?: string;
}

function rejectOtherFlags(command: CommandName, tokens: readonly Token[]): void {
  const flags: readonly string[] = COMMANDS[command];
  const other = tokens.find(({ kind, name = '' }) => kind === 'option' && !flags.includes(name));
  if (other === undefined) return;
  const known = flags.map((flag) => `--${flag}`).join(', ');
  throw usageError(`whodunit ${command} does not have the flag ${other.rawName}; its flags are ${known}.`);
}

function parseStrictly(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: FLAGS, allowPositionals: true }).values;
  } catch (error) {
    throw usageError((error as Error).message.split('\n')[0] ?? '');
  }
}

function usageError(message: string): FatalError {
  return new FatalError('USAGE', `${message} See whodunit --help.`, EXIT_CONFIG);
}

function outputForm(output: string | undefined): OutputForm | null {
  if (output === undefined || output === 'text' || output === 'json') return output ?? null;
  throw configError('--output', output, 'text, json', 'Leave it out for the default.');
}
