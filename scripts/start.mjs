// `npm start`: installs, builds, and runs loader and service together until Ctrl-C.
// What follows `--` goes to the service: `npm start -- --output json`.
//
// SPDX-License-Identifier: Apache-2.0

import { fileURLToPath } from 'node:url';
import { againAsRoot, BEHIND_SUDO, invokingUser, isRoot } from './privileges.mjs';
import { awaitReady, startLoader, startService, stopAll, stopAsked } from './processes.mjs';
import { command, Failure, installAndBuild } from './steps.mjs';

const SOCKET = process.env.WHODUNIT_SOCKET ?? '/run/whodunit/events.sock';
const PIN_DIR = process.env.WHODUNIT_PIN_DIR ?? '/sys/fs/bpf/whodunit';
const HEALTH = process.env.WHODUNIT_HEALTH_ADDR ?? '127.0.0.1:9465';

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

/** Starts both; gives the first that ends, and how. */
async function watch(args) {
  const user = invokingUser();
  const loader = await startLoader({ socket: SOCKET, pinDir: PIN_DIR, socketGroup: user?.gid });
  const service = startService({ args, user, env: { WHODUNIT_SOCKET: SOCKET } });
  await awaitReady(service, HEALTH);
  console.error(`whodunit watches. http://${HEALTH}/readyz answers; Ctrl-C ends it.`);
  return Promise.race([service, loader].map(async ({ name, ended }) => ({ name, ...(await ended) })));
}
