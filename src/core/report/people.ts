// SPDX-License-Identifier: Apache-2.0
// Who did it, who asked for it, and what the process was, as lines of a report: command lines, people, and ancestors where these say more
// than their names, which are in the headline.

import { cutText } from '../identity/redact.ts';
import { isCarrier } from '../identity/role.ts';
import { listOf, numberOf, textOf } from '../page/values.ts';
import type { Attributes } from '../telemetry/attributes.ts';
import * as semconv from '../telemetry/semconv.ts';
import { joined, quotedText } from '../words/quoted.ts';
import { containerLabel } from './places.ts';

/** What a report shows of command lines, and of ancestors with arguments. A whole one has all. */
export interface Limits {
  readonly commandChars: number;
  readonly ancestors: number;
}

/** Who sent the signal, or made the kernel send it; then the ancestors. */
export function who(attributes: Attributes, resource: Attributes, limits: Limits): string[] {
  const restarted = listOf(attributes[semconv.RESTART_ANCESTORS]);
  // The nearest is in the headline.
  if (restarted.length > 0) return restarted.length === 1 ? [] : [restarted.join(' ← ')];
  return [...sender(attributes, resource, limits), ...trigger(attributes, limits), ...stopper(attributes, limits)];
}

/** Only where that is more than what the headline says: its name, pid, user and the names of its ancestors. */
function sender(attributes: Attributes, resource: Attributes, limits: Limits): string[] {
  const name = textOf(attributes[semconv.SENDER_NAME]);
  if (attributes[semconv.SENDER_KIND] !== 'process' || name === null) return [];
  const command = textOf(attributes[semconv.SENDER_COMMAND_LINE] ?? attributes[semconv.SENDER_TITLE]);
  const chain = chainAbove(attributes, 'whodunit.sender', limits);
  const more = [
    ...persons(attributes, 'whodunit.sender'),
    isCarrier(name) ? null : placeOfSender(attributes, resource),
  ].filter((part) => part !== null);
  const hasCommand = command !== null && withoutDirectory(command) !== name && !isCarrier(name);
  if (!hasCommand && more.length === 0 && chain.length === 0) return [];
  return [joined([actor(attributes, 'whodunit.sender', limits), ...more]), ...chain];
}

/** Its container or unit. null: it is that of the victim, or in the headline. */
function placeOfSender(attributes: Attributes, resource: Attributes): string | null {
  const container = attributes[semconv.SENDER_CONTAINER_ID];
  const unit = attributes[semconv.SENDER_SYSTEMD_UNIT];
  if (container !== undefined && container !== resource[semconv.CONTAINER_ID])
    return containerLabel(attributes[semconv.SENDER_CONTAINER_NAME], container);
  const user = attributes[semconv.SENDER_SYSTEMD_USER_UNIT];
  if (user !== undefined && user !== resource[semconv.SYSTEMD_USER_UNIT]) return textOf(user);
  return unit === resource[semconv.SYSTEMD_UNIT] ? null : textOf(unit);
}

/** Its name is in the headline. */
function trigger(attributes: Attributes, limits: Limits): string[] {
  const command = textOf(attributes[semconv.TRIGGER_COMMAND_LINE]);
  const adds = command !== null && command !== textOf(attributes[semconv.TRIGGER_EXECUTABLE_NAME]);
  return adds ? [actor(attributes, 'whodunit.trigger', limits)] : [];
}

/** Who had stopped the process (SIGSTOP) before. */
function stopper(attributes: Attributes, limits: Limits): string[] {
  const command = textOf(attributes[semconv.STOP_SENDER_COMMAND_LINE]);
  const adds = command !== null && command !== textOf(attributes[semconv.STOP_SENDER_NAME]);
  return adds ? [`before, it was stopped by ${actor(attributes, 'whodunit.stop.sender', limits)}`] : [];
}

/** The command by which someone asked a carrier to do it. */
export function askedBy(attributes: Attributes, limits: Limits): string[] {
  if (attributes[semconv.REQUESTER_PID] === undefined) return [];
  const place =
    containerLabel(undefined, attributes[semconv.REQUESTER_CONTAINER_ID]) ??
    textOf(attributes[semconv.REQUESTER_SYSTEMD_UNIT]);
  const basis =
    attributes[semconv.REQUESTER_BASIS] === 'time' ? 'by its time: it was the only such command then' : null;
  const parts = [
    actor(attributes, 'whodunit.requester', limits),
    ...persons(attributes, 'whodunit.requester'),
    place,
    basis,
  ];
  return [joined(parts), ...chainAbove(attributes, 'whodunit.requester', limits)];
}

/** The victim: what was executed, as whom; its ancestors, up to the first that is in a line above. */
export function victimLines(attributes: Attributes, resource: Attributes, limits: Limits): string[] {
  const args = listOf(resource[semconv.PROCESS_COMMAND_ARGS]);
  const path = textOf(resource[semconv.PROCESS_EXECUTABLE_PATH]);
  const command = args.length > 0 ? args.join(' ') : textOf(resource[semconv.PROCESS_TITLE]);
  const user = textOf(resource[semconv.PROCESS_OWNER] ?? resource[semconv.PROCESS_USER_ID]);
  const login = textOf(resource[semconv.PROCESS_LOGIN_USER_NAME]);
  const inner = numberOf(resource[semconv.PROCESS_VPID]);
  const thread = numberOf(attributes[semconv.THREAD_ID]);
  const chain = ancestorsOf(attributes, 'whodunit.process');
  const above = new Set([
    numberOf(attributes[semconv.SENDER_PID]),
    ...ancestorsOf(attributes, 'whodunit.sender').map(({ pid }) => pid),
  ]);
  const known = chain.findIndex(({ pid }) => above.has(pid));
  const own = chainLines(known === -1 ? chain : chain.slice(0, known), limits);
  const parent = numberOf(resource[semconv.PROCESS_PARENT_PID]);
  const parts = [
    quotedText(
      cutText(command ?? path ?? textOf(resource[semconv.PROCESS_EXECUTABLE_NAME]) ?? '', limits.commandChars),
    ),
    command === null || path === null || args[0] === path ? null : path,
    user === null ? null : `user ${user}`,
    login === null || login === user ? null : `logged in as ${login}`,
    inner === null || inner === resource[semconv.PROCESS_PID] ? null : `pid ${inner} in its namespace`,
    own.length > 0 || parent === null || above.has(parent) ? null : `parent ${parent}`,
    thread === null || thread === resource[semconv.PROCESS_PID] ? null : `thread ${thread}`,
  ];
  return [joined(parts.map((part) => part || null)), ...own];
}

/** Whether the fact says again what the lines of the sender's ancestors say. */
export function isShownAbove(fact: string, attributes: Attributes): boolean {
  const [nearest] = listOf(attributes[semconv.SENDER_ANCESTOR_COMMAND_LINES]);
  return nearest !== undefined && fact.includes(nearest) && saysMore(ancestorsOf(attributes, 'whodunit.sender'));
}

/** `pkill -f report (pid 34, alice)`. */
function actor(attributes: Attributes, prefix: string, { commandChars }: Limits): string {
  const command = attributes[`${prefix}.command_line`] ?? attributes[`${prefix}.title`];
  const name = attributes[`${prefix}.name`] ?? attributes[`${prefix}.executable.name`];
  const id = textOf(attributes[`${prefix}.user.id`]);
  const user = textOf(attributes[`${prefix}.user.name`]) ?? (id === null ? null : `uid ${id}`);
  const pid = textOf(attributes[`${prefix}.pid`]);
  const who = user === null ? '' : `, ${user}`;
  const text = cutText(textOf(command) ?? textOf(name) ?? 'a process', commandChars);
  return `${quotedText(text)} (pid ${pid}${who})`;
}

/** The person behind the user, as far as that is another one. */
function persons(attributes: Attributes, prefix: string): (string | null)[] {
  const user = textOf(attributes[`${prefix}.user.name`]);
  const sudo = textOf(attributes[`${prefix}.sudo_user`]);
  const login = textOf(attributes[`${prefix}.login_user.name`]);
  const real = textOf(attributes[`${prefix}.real_user.name`]);
  const address = textOf(attributes[`${prefix}.client.address`]);
  return [
    sudo === null ? null : `${sudo} through sudo`,
    login === null || login === user || login === sudo ? null : `logged in as ${login}`,
    real === null || real === user ? null : `real user ${real}`,
    address === null ? null : `from ${address}`,
  ];
}

interface Ancestor {
  readonly pid: number;
  readonly name: string;
  /** `bash /opt/tidy.sh`. null: its name says as much. */
  readonly command: string | null;
  /** ` (pid 33, alice)`. */
  readonly of: string;
}

/** `tidy.sh(33)`. */
const LABEL = /^(.*)\((\d+)\)$/s;
/** `/bin/bash /opt/tidy.sh (pid 33, alice)`. */
const COMMAND = /^(.*)( \(pid \d+(?:, .*)?\))$/s;

/** Nearest first. Of a victim, the record has no names: there, a command line stands for it. */
function ancestorsOf(attributes: Attributes, prefix: string): Ancestor[] {
  const commands = listOf(attributes[`${prefix}.ancestor_command_lines`]);
  const labels = listOf(attributes[`${prefix}.ancestors`]);
  return (labels.length > 0 ? labels : commands).map((text, at) => {
    const [, whole = '', of = ''] = COMMAND.exec(commands[at] ?? '') ?? [];
    const [, label, number] = LABEL.exec(text) ?? [];
    const command = withoutDirectory(whole);
    const name = labels.length > 0 ? (label ?? text) : (command.split(' ', 1)[0] ?? '');
    const pid = Number(number ?? /\d+/.exec(of)?.[0]);
    return { pid, name, command: isMore(command, name) ? command : null, of };
  });
}

/** Options alone (`cron -f`) say no more than the name; nor do the arguments of what carries out the requests of others. */
function isMore(command: string, name: string): boolean {
  const [, ...args] = command.split(' ');
  return args.some((arg) => arg !== '' && !arg.startsWith('-')) && !isCarrier(name);
}

function saysMore(ancestors: readonly Ancestor[]): boolean {
  return ancestors.some(({ command }) => command !== null);
}

/** Those with arguments on lines of their own, the others by name behind them. Empty: the names say all. */
function chainLines(ancestors: readonly Ancestor[], { ancestors: max, commandChars }: Limits): string[] {
  if (!saysMore(ancestors)) return [];
  const lines: string[] = [];
  let before: string | null = null;
  let shown = 0;
  for (const { name, command, of } of ancestors) {
    // A shell that forked has the command line of its parent.
    if (command !== null && command === before) continue;
    before = command;
    const last = lines.at(-1);
    if (command !== null && shown === max) {
      lines[lines.length - 1] = `${last} ← …`;
      break;
    }
    if (command !== null) {
      shown += 1;
      lines.push(`← ${cutText(command, commandChars)}${of}`);
    } else if (last === undefined) lines.push(`← ${name}`);
    else lines[lines.length - 1] = `${last} ← ${name}`;
  }
  return lines;
}

function chainAbove(attributes: Attributes, prefix: string, limits: Limits): string[] {
  return chainLines(ancestorsOf(attributes, prefix), limits);
}

function withoutDirectory(command: string): string {
  return command.replace(/^\/(?:[^ /]*\/)*/, '');
}
