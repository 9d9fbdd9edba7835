// SPDX-License-Identifier: Apache-2.0
// Completions for bash, zsh and fish, from the table of commands. Names are constants of that table: none needs quoting but for descriptions.
import { COMMANDS, type Command, FLAGS, type Flag, type FlagName } from './commands.ts';

const GENERAL: readonly FlagName[] = ['help', 'version'];
const commands = Object.entries<Command>(COMMANDS);
const flagOf = (name: FlagName): Flag => FLAGS[name];

/** The values of a flag of a command. null: any. */
function valuesOf({ outputs = [] }: Command, name: FlagName): readonly string[] | null {
  return name === 'output' ? outputs : (flagOf(name).values ?? null);
}

export function bashCompletion(): string {
  const cases = commands.map(([name, command]) => {
    const words = [...command.flags, ...GENERAL].map((flag) => `--${flag}`);
    const values = command.flags.flatMap((flag) => {
      const allowed = valuesOf(command, flag);
      return allowed === null ? [] : [`      --${flag}) words='${allowed.join(' ')}' ;;`];
    });
    return `    ${name})
      words='${[...(command.offered ?? []), ...words].join(' ')}'
      case $previous in
${values.length === 0 ? '      *) ;;' : values.join('\n')}
      esac ;;`;
  });
  return `# bash completion for whodunit
_whodunit() {
  local word=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} words=''
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W '${commands.map(([name]) => name).join(' ')} --help --version' -- "$word")
    return
  fi
  case $previous in
    --rules | --state-dir) compopt -o default; return ;;
  esac
  case \${COMP_WORDS[1]} in
${cases.join('\n')}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _whodunit whodunit
`;
}

export function zshCompletion(): string {
  const listed = commands.map(([name, { what }]) => `    ${quoted(`${name}:${what}`)}`);
  const cases = commands.map(([name, command]) => {
    const specs = [...command.flags, ...GENERAL].map((flag) => `        ${zshFlag(flag, valuesOf(command, flag))} \\`);
    const operand = command.offered === undefined ? "'*: :'" : quoted(`1:what:(${command.offered.join(' ')})`);
    return `    ${name})\n      _arguments \\\n${specs.join('\n')}\n        ${operand} ;;`;
  });
  return `#compdef whodunit
_whodunit() {
  local -a commands
  commands=(
${listed.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join('\n')}
  esac
}
_whodunit "$@"
`;
}

function zshFlag(name: FlagName, values: readonly string[] | null): string {
  const { value, what, multiple = false } = flagOf(name);
  const files = name === 'rules' ? '_files' : name === 'state-dir' ? '_files -/' : ' ';
  const action = values === null ? files : `(${values.join(' ')})`;
  const description = what.replaceAll(/[[\]:]/g, ' ');
  return quoted(`${multiple ? '*' : ''}--${name}[${description}]${value === undefined ? '' : `:${value}:${action}`}`);
}

export function fishCompletion(): string {
  const lines = commands.flatMap(([name, command]) => {
    const own = `complete -c whodunit -n '__fish_seen_subcommand_from ${name}'`;
    const offered = command.offered === undefined ? [] : [`${own} -a '${command.offered.join(' ')}'`];
    const flags = command.flags.map((flag) => {
      const { short, value, what } = flagOf(flag);
      const allowed = valuesOf(command, flag);
      const files = flag === 'rules' || flag === 'state-dir' ? ' -r -F' : ' -x';
      const takes = value === undefined ? '' : files;
      const of = allowed === null ? '' : ` -a '${allowed.join(' ')}'`;
      return `${own}${short === undefined ? '' : ` -s ${short}`} -l ${flag}${takes}${of} -d ${quoted(what)}`;
    });
    return [
      `complete -c whodunit -n __fish_use_subcommand -a ${name} -d ${quoted(command.what)}`,
      ...offered,
      ...flags,
    ];
  });
  return `# fish completion for whodunit\ncomplete -c whodunit -f\n${lines.join('\n')}\ncomplete -c whodunit -s h -l help\ncomplete -c whodunit -s v -l version\n`;
}

/** For sh, zsh and fish. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", '’')}'`;
}
