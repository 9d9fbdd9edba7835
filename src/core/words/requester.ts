// SPDX-License-Identifier: Apache-2.0
// Who asked for a termination, and why systemd sent a signal, as clauses of the sentence.
import type { Identity } from '../identity/identity.ts';
import type { User } from '../identity/names.ts';
import { cutText } from '../identity/redact.ts';
import type { Requester } from '../requests/join.ts';
import type { SystemdReason, SystemdReasonValue } from '../requests/systemd.ts';
import { signalName } from '../verdict/signals.ts';
import { duration } from './units.ts';

const COMMAND_CHARS_MAX = 100;
/** `whodunit.requester.ancestors` has all. */
const ANCESTORS_SHOWN = 3;

/** ``asked for by `systemctl stop web` (alice) ← sudo ← bash``, ``asked for by SIGRTMIN+4 from `kill -38 1` (root)``. */
export function requesterClause(requester: Requester): string {
  const { identity, basis, person, request } = requester;
  const chain = identity.ancestors.slice(0, ANCESTORS_SHOWN).map(({ name }) => ` ← ${name}`);
  const more = identity.ancestors.length > ANCESTORS_SHOWN ? ' ← …' : '';
  const probably = basis === 'time' ? 'probably ' : '';
  const signal = request.init_signal === null ? '' : `${signalName(request.init_signal.signo)} from `;
  return `${probably}asked for by ${signal}\`${commandOf(requester)}\` (${userLabel(person)})${chain.join('')}${more}`;
}

/** Without the interpreter of a script, and without directories. */
function commandOf({ identity, request: { script } }: Requester): string {
  const args = identity.arguments.shown;
  if (args === null || args.length === 0) return identity.name;
  const at = script === null ? 0 : Math.max(0, args.indexOf(script));
  return textOf(args.slice(at));
}

function textOf([first = '', ...rest]: readonly string[]): string {
  const command = [first.slice(first.lastIndexOf('/') + 1), ...rest].join(' ').trim();
  return cutText(command.replaceAll('`', "'"), COMMAND_CHARS_MAX);
}

/** `` selected by `pkill -f report` ``: the sender looked for processes, and this one matched. null: it was given a pid. */
export function selectionClause(sender: Identity | null): string | null {
  const args = sender?.arguments.shown ?? null;
  if (sender === null || args === null || sender.program.hasTitle || !SELECTORS.test(sender.name)) return null;
  return `selected by \`${textOf(args)}\``;
}

/** pkill, killall and the like: of the system, or of busybox. */
const SELECTORS = /^(?:busybox )?(?:pkill|killall|skill|fuser)$/;

function userLabel({ uid, name }: User): string {
  return name ?? `uid ${uid}`;
}

/** What of the reason is known, or may be. null: the request says it already. */
export function systemdClause({ reasons, isAsked, waitedNs }: SystemdReason, victim: Identity): string | null {
  if (isAsked && !reasons.includes('shutdown')) return null;
  const isInSession = victim.placement.unit?.startsWith('session-') === true;
  const phrases = reasons.map((reason) => phraseOf(reason, waitedNs, isInSession));
  const unasked = reasons.length > 1 && reasons.includes('stop') ? ' (no command that asked for it is known)' : '';
  return `${phrases.join(', or ')}${unasked}`;
}

function phraseOf(reason: SystemdReasonValue, waitedNs: bigint | null, isInSession: boolean): string {
  const waited = waitedNs === null ? null : duration(waitedNs);
  switch (reason) {
    case 'stop':
      return 'its unit was stopped';
    case 'kill':
      return 'a command had systemd send the signal (systemctl kill)';
    case 'shutdown':
      return 'the machine or container was being turned off';
    case 'stop_timeout':
      return `it had not stopped ${waited ?? 'in time'} after systemd asked it to (TimeoutStopSec)`;
    case 'start_timeout':
      return 'its unit ran out of time to start or to run (TimeoutStartSec, RuntimeMaxSec)';
    case 'watchdog':
      return `systemd got no keep-alive in time (WatchdogSec)${waited === null ? '' : `, and it had not ended ${waited} later`}`;
    case 'oom_policy':
      return 'a process of its unit had been killed for lack of memory (OOMPolicy)';
    case 'session_end':
      return isInSession ? 'its session ended (KillUserProcesses)' : 'the last session of its user ended';
    case 'main_process_ended':
      return 'the main process of its unit had ended (KillMode)';
  }
}
