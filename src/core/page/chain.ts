// SPDX-License-Identifier: Apache-2.0
// Who did it, as a chain for the page: who asked → who carried it out → the victim. Only what the record says.
import type { Attributes } from '../telemetry/attributes.ts';
import * as semconv from '../telemetry/semconv.ts';
import { listOf, numberOf, textOf } from './values.ts';

export interface Link {
  readonly role: 'requester' | 'trigger' | 'sender' | 'kernel' | 'victim';
  readonly name: string;
  readonly pid: number | null;
  readonly user: string | null;
  readonly command: string | null;
  /** The ancestors, nearest first. */
  readonly ancestors: readonly string[];
  /** What it did to the next link. null: of the victim. */
  readonly act: string | null;
}

export type Chain = readonly Link[];

export function chainOf(attributes: Attributes, resource: Attributes, kind: string): Chain {
  if (kind !== 'termination') return [];
  return [...requester(attributes), ...sender(attributes), victim(attributes, resource)];
}

function requester(attributes: Attributes): Link[] {
  const name = textOf(attributes[semconv.REQUESTER_NAME]);
  if (name === null) return [];
  const link = actor(attributes, 'whodunit.requester', name);
  // Behind sudo, the user is root; the person is who called it.
  const person = attributes[semconv.REQUESTER_SUDO_USER] ?? attributes[semconv.REQUESTER_LOGIN_USER_NAME];
  return [{ role: 'requester', ...link, user: textOf(person) ?? link.user, act: 'asked' }];
}

function sender(attributes: Attributes): Link[] {
  const signal = textOf(attributes[semconv.SIGNAL_NAME]);
  const name = textOf(attributes[semconv.SENDER_NAME]) ?? textOf(attributes[semconv.SENDER_EXECUTABLE_NAME]);
  if (name !== null)
    return [{ role: 'sender', ...actor(attributes, 'whodunit.sender', name), act: signal && `sent ${signal}` }];
  if (textOf(attributes[semconv.SENDER_KIND]) !== 'kernel') return [];
  const trigger = textOf(attributes[semconv.TRIGGER_EXECUTABLE_NAME]);
  const kernel: Link = {
    role: 'kernel',
    name: attributes[semconv.CAUSE] === 'oom_kill' ? 'the kernel, out of memory' : 'the kernel',
    pid: null,
    user: null,
    command: null,
    ancestors: [],
    act: signal && `sent ${signal}`,
  };
  if (trigger === null) return [kernel];
  return [{ role: 'trigger', ...actor(attributes, 'whodunit.trigger', trigger), act: 'made it' }, kernel];
}

function actor(attributes: Attributes, prefix: string, name: string): Omit<Link, 'role' | 'act'> {
  const user = attributes[`${prefix}.user.name`] ?? attributes[`${prefix}.user.id`];
  return {
    name,
    pid: numberOf(attributes[`${prefix}.pid`]),
    user: textOf(user),
    command: textOf(attributes[`${prefix}.command_line`]) ?? textOf(attributes[`${prefix}.title`]),
    ancestors: listOf(attributes[`${prefix}.ancestors`]),
  };
}

function victim(attributes: Attributes, resource: Attributes): Link {
  const args = listOf(resource[semconv.PROCESS_COMMAND_ARGS]).join(' ');
  return {
    role: 'victim',
    name: textOf(resource[semconv.PROCESS_NAME]) ?? textOf(resource[semconv.PROCESS_EXECUTABLE_NAME]) ?? 'a process',
    pid: numberOf(resource[semconv.PROCESS_PID]),
    user: textOf(resource[semconv.PROCESS_OWNER] ?? resource[semconv.PROCESS_USER_ID]),
    command: args === '' ? textOf(resource[semconv.PROCESS_TITLE]) : args,
    ancestors: [],
    act: attributes[semconv.SENDER_KIND] === 'self' ? textOf(attributes[semconv.SIGNAL_NAME]) : null,
  };
}
