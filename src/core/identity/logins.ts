// SPDX-License-Identifier: Apache-2.0
// Who logged in, and from where: as WHODUNIT_LOGINS allows it to be shown.
import type { Ancestor } from '../wire/ancestor.ts';
import type { Actor, Death, Request, Signal } from '../wire/event.ts';

export type LoginsMode = 'on' | 'off';

/** The termination without what is known of logins. */
export function withoutLogins(death: Death): Death {
  const of = (signal: Signal): Signal => ({ ...signal, sender: withoutLoginOfActor(signal.sender) });
  const { process, signal, request, stop } = death;
  const { SSH_CONNECTION: _, ...env } = process.env ?? {};
  return {
    ...death,
    process: { ...withoutLogin(process), env: process.env === null ? null : env },
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

export interface SshSession {
  /** `alice@pts/0`, as the server says in its title. null: not known. */
  readonly name: string | null;
  /** From which the user logged in, as the environment of a program of the session says. null: not known. */
  readonly address: string | null;
}

/** The SSH session of a server process. null: it is none. `program`: of that session. */
export function sshSessionOf(server: Actor, program: Pick<Actor, 'env'>): SshSession | null {
  if (!isSshd(server)) return null;
  const name = SSH_TITLE.exec(server.args?.[0] ?? '')?.[1] ?? null;
  return { name, address: clientAddress(program) };
}
const SSH_TITLE = /^sshd(?:-session)?: ([\w.\\-]{1,64}@[\w/]{1,16})\s*$/;

function isSshd({ exe }: Actor): boolean {
  return exe !== null && /\/sshd(?:-session)?$/.test(exe);
}

/** The address from which the user logged in over SSH, as the environment says. null: another value, or none. */
export function clientAddress({ env }: Pick<Actor, 'env'>): string | null {
  return /^([0-9a-fA-F.:]{2,45}) \d{1,5} \S+ \d{1,5}$/.exec(env?.SSH_CONNECTION ?? '')?.[1] ?? null;
}

/** The user behind sudo, as the environment says. null: another value, or none. */
export function sudoUser({ env }: Pick<Actor, 'env'>): string | null {
  return /^[\w][\w.@-]{0,63}\$?$/.exec(env?.SUDO_USER ?? '')?.[0] ?? null;
}
