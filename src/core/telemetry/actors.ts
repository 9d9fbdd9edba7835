// SPDX-License-Identifier: Apache-2.0
// Who did it, as attributes of a record: the sender of the signal, the process that made the kernel send it, and the one that had stopped the
// process.
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { Ending } from '../filter/memory.ts';
import type { Identity } from '../identity/identity.ts';
import { isoTime, seconds } from '../time.ts';
import { signalName } from '../verdict/signals.ts';
import type { Stop, Verdict } from '../verdict/verdict.ts';
import { ancestorCommandLines, hasProgram } from '../words/ancestry.ts';
import { ancestorLabels } from '../words/labels.ts';
import type { Attributes, Pair } from './attributes.ts';
import * as semconv from './semconv.ts';

/** Who did it, in the attributes of a termination's record. */
const ACTORS = ['whodunit.sender.', 'whodunit.trigger.', 'whodunit.requester.', semconv.SYSTEMD_REASON];

/** The attributes of a termination's record that say who did it. */
export function actorAttributes(attributes: ReadableLogRecord['attributes']): Attributes {
  const pairs = Object.entries(attributes).filter(([key]) => ACTORS.some((prefix) => key.startsWith(prefix)));
  return Object.fromEntries(pairs) as Attributes;
}

/** What the ancestors executed. null: that is not known of any of them. */
export function commandLinesAbove({ ancestors }: Identity): string[] | null {
  return hasProgram(ancestors) ? ancestorCommandLines(ancestors) : null;
}

export function senderAttributes(sender: Identity | null): Pair[] {
  if (sender === null) return [];
  const { placement, container, user, realUser, loginUser, ancestors } = sender;
  return [
    [semconv.SENDER_PID, sender.pid],
    [semconv.SENDER_NAME, sender.name],
    [semconv.SENDER_EXECUTABLE_NAME, sender.executableName],
    [semconv.SENDER_EXECUTABLE_PATH, sender.executable],
    [
      sender.program.hasTitle ? semconv.SENDER_TITLE : semconv.SENDER_COMMAND_LINE,
      sender.arguments.shown?.join(' ').trim(),
    ],
    [semconv.SENDER_USER_ID, user.uid],
    [semconv.SENDER_USER_NAME, user.name],
    [semconv.SENDER_REAL_USER_ID, realUser?.uid],
    [semconv.SENDER_REAL_USER_NAME, realUser?.name],
    [semconv.SENDER_LOGIN_USER_ID, loginUser?.uid],
    [semconv.SENDER_LOGIN_USER_NAME, loginUser?.name],
    [semconv.SENDER_FOREIGN_ROOT, sender.foreignRoot],
    [semconv.SENDER_EXECUTABLE_STATE, sender.executableState],
    [semconv.SENDER_CONTAINER_NAME, container?.name],
    [semconv.SENDER_CONTAINER_HOSTNAME, container?.hostname],
    [semconv.SENDER_CONTAINER_ID, placement.containerId],
    [semconv.SENDER_K8S_POD_UID, placement.podUid],
    [semconv.SENDER_SYSTEMD_UNIT, placement.unit],
    [semconv.SENDER_SYSTEMD_USER_UNIT, placement.userUnit],
    [semconv.SENDER_ANCESTORS, ancestors.length === 0 ? null : ancestorLabels(ancestors)],
    [semconv.SENDER_ANCESTOR_COMMAND_LINES, commandLinesAbove(sender)],
  ];
}

/** `act`: null only if `trigger` is. */
export function triggerAttributes(trigger: Identity | null, act: Verdict['trigger']): Pair[] {
  if (trigger === null) return [];
  return [
    [semconv.TRIGGER_PID, trigger.pid],
    [semconv.TRIGGER_EXECUTABLE_NAME, trigger.name],
    [semconv.TRIGGER_COMMAND_LINE, trigger.arguments.shown?.join(' ')],
    [semconv.TRIGGER_USER_ID, trigger.user.uid],
    [semconv.TRIGGER_USER_NAME, trigger.user.name],
    [semconv.TRIGGER_CLIENT_ADDRESS, act?.act === 'closed_terminal' ? act.session?.address : null],
  ];
}

/** The process that read the victim's output, and ended before. */
export function readerAttributes(reader: Ending | null): Pair[] {
  if (reader === null) return [];
  return [
    [semconv.READER_PID, reader.pid],
    [semconv.READER_NAME, reader.name],
    [semconv.READER_TERMINATION_UID, reader.uid],
  ];
}

export function stopAttributes(stop: Stop | null, sender: Identity | null): Pair[] {
  if (stop === null) return [];
  return [
    [semconv.STOP_SIGNAL_NAME, signalName(stop.signo)],
    [semconv.STOP_TIME, isoTime(stop.sinceNs)],
    [semconv.STOP_DURATION, seconds(stop.lastedNs)],
    [semconv.STOP_CONTINUED, stop.continued],
    [semconv.STOP_SENDER_KIND, stop.senderKind],
    [semconv.STOP_SENDER_PID, sender?.pid],
    [semconv.STOP_SENDER_NAME, sender?.name],
    [semconv.STOP_SENDER_COMMAND_LINE, sender?.arguments.shown?.join(' ').trim()],
    [semconv.STOP_SENDER_USER_ID, sender?.user.uid],
    [semconv.STOP_SENDER_USER_NAME, sender?.user.name],
  ];
}
