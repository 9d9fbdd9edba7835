// SPDX-License-Identifier: Apache-2.0
// Every command and flag, once: cli.ts reads them, and help, man page and completions are made from them (src/core/words/ has no part in it).
import { ALL_FILTER_NAMES, FILTER_NAMES } from '../core/history/filter-names.ts';
import { CAUSE_VALUES } from '../core/telemetry/semconv.ts';

export interface Flag {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  readonly multiple?: boolean;
  /** The name of its value. */
  readonly value?: string;
  /** The values that a shell offers. */
  readonly values?: readonly string[];
  readonly what: string;
}

export interface Command {
  /** In the order of the line; '': it has none. */
  readonly operands: string;
  readonly operandsMin: number;
  readonly operandsMax: number;
  /** The operands that a shell offers. */
  readonly offered?: readonly string[];
  /** Its first operand must be one of these. */
  readonly onlyOffered?: boolean;
  readonly what: string;
  readonly flags: readonly FlagName[];
  /** The values of --output. */
  readonly outputs?: readonly string[];
  /** Its exit codes are grep's: 0 found, 1 none, 2 error. */
  readonly searches?: boolean;
}

export const FLAGS = {
  output: {
    type: 'string',
    value: 'FORM',
    what: 'the form of the output: text, report or json (up, run, follow; text is a report on a terminal, otherwise one line for each), text or json (show, doctor, filters), table or json (stats), table, json or jsonl (list)',
  },
  'until-eof': { type: 'boolean', what: 'also stop at the end of standard input' },
  rules: {
    type: 'string',
    value: 'FILE',
    what: 'a YAML file with filter rules, tried before the built-in ones; SIGHUP reloads it',
  },
  test: {
    type: 'boolean',
    what: 'kill a child process, follow its record to the collector, and name the step that fails',
  },
  'dry-run': { type: 'boolean', what: 'only say what would be removed' },
  executable: {
    type: 'string',
    value: 'NAME',
    what: 'explain: the program that exited, its name or a language (jvm, rust, …); otherwise its path or name',
  },
  since: {
    type: 'string',
    value: 'TIME',
    what: 'only this late or later: "1 hour ago", 24h, yesterday, "2026-11-29 03:00"',
  },
  until: { type: 'string', value: 'TIME', what: 'only earlier' },
  service: {
    type: 'string',
    value: 'NAME',
    what: 'only of this service. Like the following ones it may have wildcards: "web*"',
  },
  unit: { type: 'string', value: 'NAME', what: 'only of this systemd unit' },
  container: { type: 'string', value: 'NAME', what: 'only of this container: name or id' },
  cause: {
    type: 'string',
    value: 'CAUSE',
    values: CAUSE_VALUES,
    what: 'only with this cause: killed, fault, oom_kill, …',
  },
  signal: { type: 'string', value: 'SIGNAL', what: 'only by this signal: KILL, SIGSEGV, 9' },
  sender: { type: 'string', value: 'NAME', what: 'only those that this process caused' },
  user: { type: 'string', value: 'USER', what: 'only processes of this user: name or number' },
  incident: { type: 'string', value: 'ID', what: 'only those of this incident' },
  limit: { type: 'string', short: 'n', value: 'COUNT', what: 'at most so many (list: 100; 0: all)' },
  reverse: { type: 'boolean', short: 'r', what: 'oldest first' },
  before: { type: 'string', value: 'TIME', what: 'remove what is older' },
  id: { type: 'string', multiple: true, value: 'ID', what: 'remove this record; may be repeated' },
  undelivered: {
    type: 'boolean',
    what: 'also remove records that the collector has not accepted yet, from the queue, too: they are not sent',
  },
  for: { type: 'string', value: 'DURATION', what: 'how long: 30min, 1h, 2d' },
  remove: { type: 'boolean', what: 'end the mute of the service; without --service, all mutes' },
  'state-dir': {
    type: 'string',
    value: 'DIR',
    what: "the service's WHODUNIT_STATE_DIR, if it is not /var/lib/whodunit",
  },
  port: { type: 'string', value: 'PORT', what: 'the port of the page, on 127.0.0.1; by default a free one' },
  'no-open': { type: 'boolean', what: 'only print the link' },
  'no-pager': { type: 'boolean', what: 'do not show the output in $PAGER' },
  help: { type: 'boolean', short: 'h', what: 'show this text' },
  version: { type: 'boolean', short: 'v', what: 'show the version' },
} as const satisfies Record<string, Flag>;
export type FlagName = keyof typeof FLAGS;

export const COMMANDS = {
  run: {
    operands: '',
    operandsMin: 0,
    operandsMax: 0,
    what: 'send a record of each abnormal termination to a collector, or print it (the default command)',
    flags: ['output', 'rules'],
    outputs: ['text', 'report', 'json'],
  },
  up: {
    operands: '',
    operandsMin: 0,
    operandsMax: 0,
    what: 'start the loader and the service, and keep both running until Ctrl-C; asks for sudo if you are not root',
    flags: ['output', 'rules', 'until-eof'],
    outputs: ['text', 'report', 'json'],
  },
  list: {
    operands: '',
    operandsMin: 0,
    operandsMax: 0,
    what: 'list the last records, newest first',
    flags: [...ALL_FILTER_NAMES, 'limit', 'reverse', 'output', 'no-pager', 'state-dir'],
    outputs: ['table', 'json', 'jsonl'],
    searches: true,
  },
  show: {
    operands: '[ID | PID | last]',
    operandsMin: 0,
    operandsMax: 1,
    offered: ['last'],
    what: 'show a whole report: evidence, stack, restart, incident, earlier ends of the service, delivery',
    flags: ['output', 'no-pager', 'state-dir'],
    outputs: ['text', 'json'],
    searches: true,
  },
  follow: {
    operands: '',
    operandsMin: 0,
    operandsMax: 0,
    what: 'print reports as they come, until Ctrl-C',
    flags: [...FILTER_NAMES, 'output', 'state-dir'],
    outputs: ['text', 'report', 'json'],
    searches: true,
  },
  stats: {
    operands: '',
    operandsMin: 0,
    operandsMax: 0,
    what: 'count by cause, service and sender, and over time',
    flags: [...ALL_FILTER_NAMES, 'limit', 'output', 'no-pager', 'state-dir'],
    outputs: ['table', 'json'],
    searches: true,
  },
  purge: {
    operands: '',
    operandsMin: 0,
    operandsMax: 0,
    what: 'remove records from the history',
    flags: ['before', 'user', 'id', 'undelivered', 'dry-run', 'state-dir'],
    searches: true,
  },
  mute: {
    operands: '',
    operandsMin: 0,
    operandsMax: 0,
    what: 'only count the terminations of a service for some time, as during maintenance; without flags, list what is muted',
    flags: ['service', 'for', 'remove', 'state-dir'],
    searches: true,
  },
  doctor: {
    operands: '',
    operandsMin: 0,
    operandsMax: 0,
    what: 'check every step from the kernel to the collector, print a remedy for each problem, exit with 1 if there is one',
    flags: ['test', 'output', 'rules'],
    outputs: ['text', 'json'],
  },
  filters: {
    operands: '[test [FILE]]',
    operandsMin: 0,
    operandsMax: 2,
    offered: ['test'],
    onlyOffered: true,
    what: 'list the rules that decide what is reported; test: say which records of the history would go with the rules of a file, and which of the last terminations without a record would come',
    flags: ['rules', 'output', 'no-pager', 'state-dir'],
    outputs: ['text', 'json'],
    searches: true,
  },
  ui: {
    operands: '',
    operandsMin: 0,
    operandsMax: 0,
    what: 'show the history as a page in the browser: prints a link to it and opens it, until Ctrl-C',
    flags: ['port', 'no-open', 'state-dir'],
  },
  explain: {
    operands: '<exit code | signal>',
    operandsMin: 1,
    operandsMax: 1,
    what: 'explain an exit code or a signal: explain 137, explain SIGBUS, explain --executable node 7',
    flags: ['executable'],
  },
} as const satisfies Record<string, Command>;
export type CommandName = keyof typeof COMMANDS;
