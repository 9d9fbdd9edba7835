// SPDX-License-Identifier: Apache-2.0
// The attributes of the command that asked for a termination, and of the logins behind command and sender.
import { sudoUser } from '../identity/logins.ts';
import type { Requester } from '../requests/join.ts';
import { clientAddress } from '../verdict/ssh-session.ts';
import type { Verdict } from '../verdict/verdict.ts';
import { ancestorLabels } from '../words/labels.ts';
import { commandLinesAbove } from './actors.ts';
import type { Pair } from './attributes.ts';
import * as semconv from './semconv.ts';

export function loginAttributes(sender: Verdict['sender']): Pair[] {
  if (sender === null) return [];
  return [
    [semconv.SENDER_SUDO_USER, sudoUser(sender)],
    [semconv.SENDER_CLIENT_ADDRESS, clientAddress(sender)],
  ];
}

export function requesterAttributes(requester: Requester | null): Pair[] {
  if (requester === null) return [];
  const { identity, basis, request } = requester;
  const { user, loginUser, placement, ancestors } = identity;
  return [
    [semconv.REQUESTER_BASIS, basis],
    [semconv.REQUESTER_PID, identity.pid],
    [semconv.REQUESTER_NAME, identity.name],
    [semconv.REQUESTER_COMMAND_LINE, identity.arguments.shown?.join(' ').trim()],
    [semconv.REQUESTER_USER_ID, user.uid],
    [semconv.REQUESTER_USER_NAME, user.name],
    [semconv.REQUESTER_LOGIN_USER_ID, loginUser?.uid],
    [semconv.REQUESTER_LOGIN_USER_NAME, loginUser?.name],
    [semconv.REQUESTER_SUDO_USER, sudoUser(request.process)],
    [semconv.REQUESTER_CLIENT_ADDRESS, clientAddress(request.process)],
    [semconv.REQUESTER_CONTAINER_ID, placement.containerId],
    [semconv.REQUESTER_SYSTEMD_UNIT, placement.unit],
    [semconv.REQUESTER_ANCESTORS, ancestors.length === 0 ? null : ancestorLabels(ancestors)],
    [semconv.REQUESTER_ANCESTOR_COMMAND_LINES, commandLinesAbove(identity)],
  ];
}
