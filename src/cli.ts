// SPDX-License-Identifier: Apache-2.0
// Command line and environment → one tagged union with the settings of each command. Rejects flags that the command does not have.
// config/read.ts reads the environment, config/history-flags.ts the flags of commands that read the history.
import { parseArgs } from 'node:util';
import { COMMANDS, type Command, type CommandName, FLAGS, type FlagName } from './config/commands.ts';
import type { Env } from './config/env.ts';
import {
  type HistoryCommand,
  type MuteQuery,
  readHistoryQuery,
  readMuteQuery,
  readPurgeQuery,
} from './config/history-flags.ts';
import {
  type DoctorSettings,
  type FiltersTest,
  type OutputForm,
  type RunSettings,
  readDoctorSettings,
  readFiltersTest,
  readRunSettings,
  readUiSettings,
  readUpSettings,
  type UiSettings,
  type UpSettings,
} from './config/read.ts';
import { configError, EXIT_CONFIG, EXIT_SEARCH_FAILED, FatalError } from './core/errors.ts';

const DEFAULT_COMMAND = 'run';

export type Config =
  | ({ readonly command: 'run' } & RunSettings)
  | ({ readonly command: 'up' } & UpSettings)
  | HistoryCommand
  | ({ readonly command: 'mute' } & MuteQuery)
  /** `test`: terminate a child process and follow its record. */
  | ({ readonly command: 'doctor'; readonly test: boolean; readonly output: OutputForm } & DoctorSettings)
  /** `test`: try the rules on the history instead of listing them. */
  | ({ readonly command: 'filters'; readonly test: boolean } & FiltersTest)
  | ({ readonly command: 'ui' } & UiSettings)
  /** `what`: an exit code or a signal. */
  | { readonly command: 'explain'; readonly what: string; readonly executable: string | null }
  | { readonly command: 'help' }
  | { readonly command: 'version' };

/** Returns the command that is meant, also if the rest is wrong; null: none, or help or the version is asked for. */
export function commandOf(argv: readonly string[]): string | null {
  const { values, positionals } = leniently(argv);
  return values.help || values.version ? null : (positionals[0] ?? DEFAULT_COMMAND);
}

/** Reads the command line and the environment. Throws a FatalError with exit code 78; of a command that searches, 2. */
export function readConfig(argv: readonly string[], env: Env): Config {
  // Parse leniently first: the error for a flag of another command can then list the flags of this one.
  const given = leniently(argv);
  if (given.values.help) return { command: 'help' };
  if (given.values.version) return { command: 'version' };
  const [name = DEFAULT_COMMAND, ...operands] = given.positionals;
  if (!Object.hasOwn(COMMANDS, name)) throw unknownCommand(given.positionals);
  const command = name as CommandName;
  const { operandsMin, operandsMax, offered = [], onlyOffered = false, searches = false }: Command = COMMANDS[command];
  try {
    const complete = operands.length >= operandsMin && operands.length <= operandsMax && !operands.includes('');
    const isKnown = !onlyOffered || operands[0] === undefined || offered.includes(operands[0]);
    if (!complete || !isKnown) throw unknownCommand(given.positionals);
    rejectOtherFlags(command, given.tokens);
    return configOf(command, operands, parseStrictly(argv), env);
  } catch (error) {
    if (searches && error instanceof FatalError) throw new FatalError(error.code, error.message, EXIT_SEARCH_FAILED);
    throw error;
  }
}

type Values = ReturnType<typeof parseStrictly>;

function leniently(argv: readonly string[]) {
  return parseArgs({ args: [...argv], options: FLAGS, allowPositionals: true, strict: false, tokens: true });
}

function configOf(command: CommandName, operands: readonly string[], values: Values, env: Env): Config {
  const [operand] = operands;
  const file = values.rules ?? null;
  switch (command) {
    case 'run':
      return { command, ...readRunSettings(env, file, outputOf(command, values.output)) };
    case 'up':
      return { command, ...readUpSettings(env, values, outputOf(command, values.output)) };
    case 'list':
    case 'follow':
    case 'stats':
      return { command, ...readHistoryQuery(env, values, outputOf(command, values.output)) };
    case 'show':
      return { command, what: operand ?? 'last', ...readHistoryQuery(env, values, outputOf(command, values.output)) };
    case 'purge':
      return { command, ...readPurgeQuery(env, values) };
    case 'mute':
      return { command, ...readMuteQuery(env, values) };
    case 'doctor':
      return {
        command,
        test: values.test === true,
        output: outputOf(command, values.output) ?? 'text',
        ...readDoctorSettings(env, file),
      };
    case 'filters':
      return {
        command,
        test: operand === 'test',
        ...readFiltersTest(env, values, operands[1] ?? file, outputOf(command, values.output)),
      };
    case 'ui':
      return { command, ...readUiSettings(env, values) };
    case 'explain':
      return { command, what: operand ?? '', executable: values.executable ?? null };
  }
}

function unknownCommand(given: readonly string[]): FatalError {
  const allowed = Object.entries<Command>(COMMANDS).map(([name, { operands }]) => `${name} ${operands}`.trim());
  return configError('the command', given.join(' '), allowed.join(', '), 'See whodunit --help.');
}

interface Token {
  readonly kind: string;
  readonly name?: string;
  readonly rawName?: string;
}

function rejectOtherFlags(command: CommandName, tokens: readonly Token[]): void {
  const flags: readonly FlagName[] = COMMANDS[command].flags;
  const other = tokens.find(({ kind, name = '' }) => kind === 'option' && !(flags as readonly string[]).includes(name));
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

/** null: the default. */
function outputOf(command: CommandName, output: string | undefined): OutputForm | null {
  const { outputs = [] }: Command = COMMANDS[command];
  if (output === undefined || outputs.includes(output)) return (output as OutputForm | undefined) ?? null;
  throw configError('--output', output, outputs.join(', '), 'Leave it out for the default.');
}
