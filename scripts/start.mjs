// `npm start`: installs, builds, and runs loader and service together until Ctrl-C.
// What follows `--` goes to the service: `npm start -- --output json`.
//
// SPDX-License-Identifier: Apache-2.0

import { lchownSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { againAsRoot, BEHIND_SUDO, isRoot, serviceUser } from './privileges.mjs';
import { awaitReady, startLoader, startService, stopAll, stopAsked } from './processes.mjs';
import { command, Failure, installAndBuild, NODE, ROOT, SERVICE } from './steps.mjs';

const SOCKET = process.env.WHODUNIT_SOCKET ?? '/run/whodunit/events.sock';
const PIN_DIR = process.env.WHODUNIT_PIN_DIR ?? '/sys/fs/bpf/whodunit';
const DEFAULT_STATE_DIR = '/var/lib/whodunit';
const STATE_DIR = process.env.WHODUNIT_STATE_DIR ?? DEFAULT_STATE_DIR;
const HEALTH = process.env.WHODUNIT_HEALTH_ADDR ?? '127.0.0.1:9465';
const READABLE_BY_ROOT_ALONE = `No other user can read ${ROOT}: make it readable, or move it, to have another one.`;

await command(async () => {
  const args = process.argv.slice(2);
  const behindSudo = args[0] === BEHIND_SUDO;
  if (behindSudo) args.shift();
  else await installAndBuild();
  if (!isRoot()) return againAsRoot(fileURLToPath(import.meta.url), [BEHIND_SUDO, ...args]);

  const asked = stopAsked({ inputToo: behindSudo });
  try {
    const end = await Promise.race([asked, watch(args)]);
    if (end.name !== undefined) throw new Failure(`${end.name} ended with ${end.why}, so whodunit stops.`);
  } finally {
    const ends = await stopAll();
    console.error(`whodunit has stopped (${ends.map(({ name, why }) => `${name}: ${why}`).join(', ')}).`);
  }
  return 0;
});

/** The directory of the queue becomes the service's own: it may have run as somebody else before. One that was there and is not ours stays as it is. */
function giveStateDir({ uid, gid }) {
  const made = mkdirSync(STATE_DIR, { recursive: true, mode: 0o700 });
  if (made === undefined && STATE_DIR !== DEFAULT_STATE_DIR) return;
  for (const path of [STATE_DIR, ...readdirSync(STATE_DIR).map((name) => join(STATE_DIR, name))])
    lchownSync(path, uid, gid);
}

/** Starts both; gives the first that ends, and how. */
async function watch(args) {
  const user = serviceUser([NODE, SERVICE]);
  console.error(
    `The service runs as ${user.name}, without privileges.${user.uid === 0 ? ` ${READABLE_BY_ROOT_ALONE}` : ''}`,
  );
  const loader = await startLoader({ socket: SOCKET, pinDir: PIN_DIR, socketGroup: user.gid });
  giveStateDir(user);
  const service = startService({ args, user, env: { WHODUNIT_SOCKET: SOCKET } });
  await awaitReady(service, HEALTH);
  console.error(`whodunit watches. http://${HEALTH}/readyz answers; Ctrl-C ends it.`);
  return Promise.race([service, loader].map(async ({ name, ended }) => ({ name, ...(await ended) })));
}
