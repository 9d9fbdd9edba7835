// SPDX-License-Identifier: Apache-2.0
// Who logged in, and from where: as WHODUNIT_LOGINS allows it to be shown.
import { isSshd } from '../verdict/ssh-session.ts';
import type { Ancestor } from '../wire/ancestor.ts';
import type { Actor, Death, Request, Signal } from '../wire/event.ts';

export type LoginsMode = 'on' | 'off';

/** The termination without what is known of logins. */
export function withoutLogins(death: Death): Death {
  const of = (signal: Signal): Signal => ({ ...signal, sender: withoutLoginOfActor(signal.sender) });
  const { process: victim, signal, request, stop } = death;
  const { SSH_CONNECTION: _, ...env } = victim.env ?? {};
  return {
    ...death,
    process: { ...withoutLogin(victim), env: victim.env === null ? null : env },
    signal: signal === null ? null : of(signal),
    request: request === null ? null : of(request),
    stop: stop === null ? null : { ...stop, signal: of(stop.signal) },
  };
}

/** The title of an SSH server says who logged in. */
function withoutLoginOfActor(task: Actor): Actor {
  return { ...withoutLogin(task), env: null, args: isSshd(task) ? null : task.args };
}

/** Nor does it say who executed sudo. */
export function requestWithoutLogins(request: Request): Request {
  const process = { ...withoutLogin(request.process), env: null };
  return { ...request, process: { ...process, ancestors: process.ancestors.map((one) => ({ ...one, uid: null })) } };
}

function withoutLogin<T extends { readonly ancestors: Ancestor[] }>(task: T): T {
  const ancestors = task.ancestors.map((ancestor) => ({ ...ancestor, login_uid: null }));
  return { ...task, login_uid: null, session: null, ancestors };
}

/** The user behind sudo, as the environment says. null: another value, or none. */
export function sudoUser({ env }: Pick<Actor, 'env'>): string | null {
  return /^[\w][\w.@-]{0,63}\$?$/.exec(env?.SUDO_USER ?? '')?.[0] ?? null;
}
