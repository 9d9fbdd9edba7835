// SPDX-License-Identifier: Apache-2.0
// The SSH session behind a process, as far as titles and environments say.
import type { Actor } from '../wire/event.ts';

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

export function isSshd({ exe }: Actor): boolean {
  return exe !== null && /\/sshd(?:-session)?$/.test(exe);
}

/** The address from which the user logged in over SSH, as the environment says. null: another value, or none. */
export function clientAddress({ env }: Pick<Actor, 'env'>): string | null {
  return /^([0-9a-fA-F.:]{2,45}) \d{1,5} \S+ \d{1,5}$/.exec(env?.SSH_CONNECTION ?? '')?.[1] ?? null;
}
