// SPDX-License-Identifier: Apache-2.0
// What the execution of a tool asks for, from its command line. tools.ts has the tools, join.ts decides what it has to do with a termination.
import type { InitSignal, Request } from '../wire/event.ts';
import { keyOf } from './key.ts';
import { type Carrier, type TargetKind, TOOLS, type Tool, type Verb } from './tools.ts';

/** Targets of one command that are remembered. With more, it may name any. */
const TARGETS_MAX = 16;
const TARGET_CHARS_MAX = 128;
/** shutdown(8) waits for a minute if it is given no time. */
const SHUTDOWN_DELAY_S = 60;

/** Plain values, as they are stored. */
export interface Ask {
  readonly carriers: readonly Carrier[];
  readonly act: 'stop' | 'kill' | 'shutdown' | 'start';
  /** What is named is started, also after a stop: a process that it started since was not what it asked to stop. */
  readonly isStart: boolean;
  /** What the targets are. `init`: pid and start of the init that was asked. `none`: it names nothing that could be compared. */
  readonly kind: TargetKind | 'init' | 'none';
  readonly targets: readonly string[];
  /** There may be further targets. */
  readonly isCut: boolean;
  /** The tool may end before the carrier acts. */
  readonly isAsync: boolean;
  /** It may have asked another machine, as the environment says. */
  readonly isRemote: boolean;
  /** How long the carrier waits, in seconds. */
  readonly delayS: number;
}

/** null: it asks no carrier here to stop anything, as far as is known. */
export function askOf({
  tool: name,
  script,
  process,
  init_signal: signal,
}: Pick<Request, 'tool' | 'script' | 'process' | 'init_signal'>): Ask | null {
  if (signal !== null) return askOfSignal(signal);
  const args = wordsOf(script, process.args);
  const tool = args === null ? null : toolOf(name, args[0] ?? '');
  if (args === null || tool === null) return null;
  const line = parse(tool, args.slice(1));
  if (line === null || line.options.some((option) => isOneOf(option, tool.elsewhere))) return null;
  const delayS = tool.names.includes('shutdown') ? delayOf(line.rest) : 0;
  if (delayS === null) return null;
  const { verb, options } = line;
  const { kind, targets } = targetsOf(verb, line.rest);
  const engine = engineOptions(options);
  if (engine === 'elsewhere') return null;
  return {
    carriers: options.includes('--user') && tool.isMulticall ? ['user_systemd'] : tool.carriers,
    act: actOf(verb),
    isStart: verb.isStart === true,
    kind,
    targets: targets.slice(0, TARGETS_MAX).map((target) => target.slice(0, TARGET_CHARS_MAX)),
    isCut: process.args_truncated || targets.length > TARGETS_MAX,
    isAsync: verb.isAsync === true || options.includes('--no-block') || options.includes('--no-wait'),
    isRemote: tool.isRemote === true || engine === 'perhaps',
    delayS,
  };
}

/** Only systemd gives these signals their meaning. It has them in a queue, so that the sender does not wait. */
function askOfSignal(init: InitSignal): Ask {
  return {
    carriers: ['systemd'],
    act: 'shutdown',
    isStart: false,
    kind: 'init',
    targets: [keyOf(init)],
    isCut: false,
    isAsync: true,
    isRemote: false,
    delayS: 0,
  };
}

function actOf({ isMachine, isKill, stopsNothing }: Verb): Ask['act'] {
  if (isMachine) return 'shutdown';
  if (stopsNothing) return 'start';
  return isKill ? 'kill' : 'stop';
}

/** Without the interpreter of a script. null: not known. */
function wordsOf(script: string | null, args: readonly string[] | null): readonly string[] | null {
  if (args === null || args.length === 0) return null;
  if (script === null) return args;
  const at = args.indexOf(script);
  return at === -1 ? null : args.slice(at);
}

function toolOf(name: string, invoked: string): Tool | null {
  const tool = TOOLS.find(({ names }) => names.includes(name)) ?? null;
  const link = tool?.isMulticall ? TOOLS.find(({ names }) => names.includes(baseName(invoked))) : undefined;
  return link ?? tool;
}

interface Line {
  readonly verb: Verb;
  /** With their values: `--host=tcp://x`. */
  readonly options: readonly string[];
  /** The words after the verb that are no options. */
  readonly rest: readonly string[];
}

/** null: it has no verb that stops anything. */
function parse(tool: Tool, args: readonly string[]): Line | null {
  const options: string[] = [];
  const positional: string[] = [];
  let verb: Verb | undefined;
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at] ?? '';
    const values = verb === undefined ? tool.values : (tool.verbValues ?? tool.values);
    if (word === '--') {
      positional.push(...args.slice(at + 1));
      break;
    }
    if (!/^-./.test(word)) {
      if (positional.length > 0 || tool.before?.includes(word) !== true) positional.push(word);
      verb ??= verbIn(tool, positional);
    } else if (values.includes(word)) {
      options.push(`${word}=${args[at + 1] ?? ''}`);
      at += 1;
    } else options.push(word);
  }
  verb ??= verbIn(tool, positional);
  const needs = verb?.needs;
  if (verb === undefined || (needs !== undefined && !options.some((option) => isOneOf(option, needs)))) return null;
  return { verb, options, rest: restOf(tool, verb, positional) };
}

function verbIn(tool: Tool, positional: readonly string[]): Verb | undefined {
  const from = tool.targetFirst ? 1 : 0;
  return tool.verbs.find(({ words }) => {
    const wanted = words === '' ? [] : words.split(' ');
    return wanted.every((word, at) => positional[from + at] === word) && positional.length >= from + wanted.length;
  });
}

function restOf(tool: Tool, verb: Verb, positional: readonly string[]): readonly string[] {
  if (tool.targetFirst) return positional.slice(0, 1);
  const words = verb.words === '' ? 0 : verb.words.split(' ').length;
  return positional.slice(words + (verb.skip ?? 0));
}

/** `-f` also in `-vf`, `--host` also in `--host=x`. */
function isOneOf(option: string, names: readonly string[]): boolean {
  const [name = ''] = option.split('=', 1);
  return names.some(
    (wanted) => name === wanted || (/^-[a-z]+$/.test(name) && wanted.length === 2 && name.includes(wanted.slice(1))),
  );
}

function targetsOf(verb: Verb, rest: readonly string[]): Pick<Ask, 'kind' | 'targets'> {
  const nothing = { kind: 'none', targets: [] } as const;
  switch (verb.targets) {
    case 'none':
      return nothing;
    case 'pod':
      return podsOf(rest);
    case 'program':
      return rest.length === 0 || rest.includes('all') ? nothing : { kind: 'program', targets: rest };
    case 'unit':
    case 'container':
    case 'service':
    case 'session':
    case 'user':
      return rest.length === 0 ? nothing : { kind: verb.targets, targets: rest };
  }
}

/** `pod web-0`, `pod/web-0`. Others own pods that are not named. */
function podsOf(rest: readonly string[]): Pick<Ask, 'kind' | 'targets'> {
  const [kind = '', ...names] = rest;
  if (/^(?:po|pods?)$/.test(kind) && names.length > 0) return { kind: 'pod', targets: names };
  const named = rest.map((word) => /^(?:po|pods?)\/(.+)$/.exec(word)?.[1] ?? null);
  const pods = named.filter((name) => name !== null);
  return pods.length > 0 && pods.length === rest.length
    ? { kind: 'pod', targets: pods }
    : { kind: 'none', targets: [] };
}

/** Which engine: this machine's, perhaps another one, or one elsewhere. */
function engineOptions(options: readonly string[]): 'here' | 'perhaps' | 'elsewhere' {
  for (const option of options) {
    const [, name = '', value = ''] = /^(-H|--host|-c|--context|--url|--connection)=(.*)$/.exec(option) ?? [];
    if (name === '') continue;
    if (/^(?:unix|fd|npipe):/.test(value) || value === 'default') continue;
    if (/^(?:tcp|ssh|https?):/.test(value)) return 'elsewhere';
    return 'perhaps';
  }
  return 'here';
}

/** In seconds. null: at a time of day. */
function delayOf(rest: readonly string[]): number | null {
  const [time] = rest;
  if (time === undefined) return SHUTDOWN_DELAY_S;
  if (time === 'now') return 0;
  const [, minutes] = /^\+?(\d{1,5})$/.exec(time) ?? [];
  if (minutes !== undefined) return Number(minutes) * 60;
  return /^\d{1,2}:\d{2}$/.test(time) ? null : SHUTDOWN_DELAY_S;
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
