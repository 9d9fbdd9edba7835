// SPDX-License-Identifier: Apache-2.0
// `npm start`: builds and runs loader and service until Ctrl-C. Arguments after `--` are passed to the service:
// `npm start -- --output json`.
import { lchownSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  awaitReady,
  type Ending,
  type Running,
  startLoader,
  startService,
  stopAll,
  stopRequested,
} from '../base/children.ts';
import { command, Failure } from '../base/command.ts';
import { againAsRoot, BEHIND_SUDO, isRoot, serviceUser, type User } from '../base/privileges.ts';
import { build } from '../build/programs.ts';
import { NODE, ROOT, SERVICE } from '../paths.ts';

const SOCKET = process.env.WHODUNIT_SOCKET ?? '/run/whodunit/events.sock';
const PIN_DIR = process.env.WHODUNIT_PIN_DIR ?? '/sys/fs/bpf/whodunit';
const DEFAULT_STATE_DIR = '/var/lib/whodunit';
const STATE_DIR = process.env.WHODUNIT_STATE_DIR ?? DEFAULT_STATE_DIR;
const HEALTH = process.env.WHODUNIT_HEALTH_ADDR ?? '127.0.0.1:9465';
const READABLE_BY_ROOT_ONLY = `No other user can read ${ROOT}: make it readable or move it to run the service as another user.`;

await command(async () => {
  const args = process.argv.slice(2);
  const behindSudo = args[0] === BEHIND_SUDO;
  if (behindSudo) args.shift();
  else await build();
  if (!isRoot()) return againAsRoot(import.meta.filename, [BEHIND_SUDO, ...args]);

  const stop = stopRequested({ endOfInput: behindSudo });
  try {
    const first = await Promise.race([stop, runBoth(args)]);
    if (typeof first !== 'string') throw new Failure(`${first.name} ended with ${first.why}, so whodunit stops.`);
  } finally {
    const ends = await stopAll();
    console.error(`whodunit has stopped (${ends.map(({ name, why }) => `${name}: ${why}`).join(', ')}).`);
  }
  return 0;
});

/**
 * Creates the directory of the queue and makes the service's user its owner; the service may have run as another user before. An existing
 * directory that the user configured is not changed.
 */
function prepareStateDir({ uid, gid }: User): void {
  const made = mkdirSync(STATE_DIR, { recursive: true, mode: 0o700 });
  if (made === undefined && STATE_DIR !== DEFAULT_STATE_DIR) return;
  for (const path of [STATE_DIR, ...readdirSync(STATE_DIR).map((name) => join(STATE_DIR, name))])
    lchownSync(path, uid, gid);
}

/** Starts loader and service. Resolves when the first of them ends. */
async function runBoth(args: readonly string[]): Promise<{ readonly name: string } & Ending> {
  const user = serviceUser([NODE, SERVICE]);
  const hint = user.uid === 0 ? ` ${READABLE_BY_ROOT_ONLY}` : '';
  console.error(`The service runs as ${user.name}, without privileges.${hint}`);
  const loader = await startLoader({ socket: SOCKET, pinDir: PIN_DIR, socketGroup: user.gid });
  prepareStateDir(user);
  const service = startService({ args, user, env: { WHODUNIT_SOCKET: SOCKET } });
  await awaitReady(service, HEALTH);
  console.error(`whodunit is running. Health: http://${HEALTH}/readyz. Press Ctrl-C to stop.`);
  const end = async ({ name, ended }: Running) => ({ name, ...(await ended) });
  return Promise.race([end(service), end(loader)]);
}
