// SPDX-License-Identifier: Apache-2.0
// Who logged in, and from where: as WHODUNIT_LOGINS allows it to be shown.
import type { Actor, Ancestor, Death, Request, Signal } from '../wire/event.ts';

export type LoginsMode = 'on' | 'off';

/** The termination without what is known of logins. */
export function withoutLogins(death: Death): Death {
  const of = (signal: Signal | null): Signal | null =>
    signal === null ? null : { ...signal, sender: { ...withoutLogin(signal.sender), env: null } };
  const { process, signal, request } = death;
  return { ...death, process: withoutLogin(process), signal: of(signal), request: of(request) };
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

/** The address from which the user logged in over SSH, as the environment says. null: another value, or none. */
export function clientAddress({ env }: Pick<Actor, 'env'>): string | null {
  return /^([0-9a-fA-F.:]{2,45}) \d{1,5} \S+ \d{1,5}$/.exec(env?.SSH_CONNECTION ?? '')?.[1] ?? null;
}

/** The user behind sudo, as the environment says. null: another value, or none. */
export function sudoUser({ env }: Pick<Actor, 'env'>): string | null {
  return /^[\w][\w.@-]{0,63}\$?$/.exec(env?.SUDO_USER ?? '')?.[0] ?? null;
}
