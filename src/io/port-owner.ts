// SPDX-License-Identifier: Apache-2.0
// The process that listens on a TCP port of this machine, as far as /proc shows it: the user always, the process only to root and to its
// own user.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface PortOwner {
  readonly uid: number;
  /** null: it cannot be seen. */
  readonly pid: number | null;
  readonly name: string | null;
}

/** The state of a listening socket in /proc/net/tcp. */
const LISTEN = '0A';

/** Returns null if no process of this network namespace listens there. Never throws. `proc`: the directory to read. */
export function portOwner(port: number, proc = '/proc'): PortOwner | null {
  for (const table of ['tcp', 'tcp6']) {
    for (const line of textOf(`${proc}/net/${table}`).split('\n').slice(1)) {
      const [, local = '', , state, , , , uid, , inode] = line.trim().split(/\s+/);
      if (state !== LISTEN || Number.parseInt(local.split(':')[1] ?? '', 16) !== port) continue;
      const pid = holderOf(`socket:[${inode}]`, proc);
      const name = pid === null ? null : textOf(`${proc}/${pid}/comm`).trim() || null;
      return { uid: Number(uid), pid, name };
    }
  }
  return null;
}

/** Returns the owner for a message, such as ` by nginx (pid 42)`. */
export function describeOwner(owner: PortOwner | null): string {
  if (owner === null) return '';
  const { uid, pid, name } = owner;
  return pid === null ? ` by a process of uid ${uid}` : ` by ${name ?? 'a process'} (pid ${pid}, uid ${uid})`;
}

/** Returns the process that has this descriptor open. */
function holderOf(link: string, proc: string): number | null {
  for (const pid of listOf(proc).filter((name) => /^\d+$/.test(name)))
    for (const fd of listOf(`${proc}/${pid}/fd`)) if (linkOf(`${proc}/${pid}/fd/${fd}`) === link) return Number(pid);
  return null;
}

const listOf = (directory: string): string[] => orElse([], () => readdirSync(directory));
const linkOf = (path: string): string => orElse('', () => readlinkSync(path));
const textOf = (path: string): string => orElse('', () => readFileSync(path, 'utf8'));

/** A process may end, or belong to another user. */
function orElse<T>(fallback: T, read: () => T): T {
  try {
    return read();
  } catch {
    return fallback;
  }
}
