// SPDX-License-Identifier: Apache-2.0
// The attributes of the processes around a termination: the sender, what closed the terminal or ended, and what their ancestors executed.
import type { Identity } from '../identity/identity.ts';
import { ancestorCommandLines, hasProgram } from '../words/ancestry.ts';
import { ancestorLabels } from '../words/labels.ts';
import type { Pair } from './attributes.ts';
import * as semconv from './semconv.ts';

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

export function triggerAttributes(trigger: Identity | null): Pair[] {
  if (trigger === null) return [];
  return [
    [semconv.TRIGGER_PID, trigger.pid],
    [semconv.TRIGGER_EXECUTABLE_NAME, trigger.name],
    [semconv.TRIGGER_COMMAND_LINE, trigger.arguments.shown?.join(' ')],
    [semconv.TRIGGER_USER_ID, trigger.user.uid],
    [semconv.TRIGGER_USER_NAME, trigger.user.name],
  ];
}
