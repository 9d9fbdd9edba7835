// `npm start`: installs, builds, and runs loader and service together until Ctrl-C.
// What follows `--` goes to the service: `npm start -- --output json`.
//
// SPDX-License-Identifier: Apache-2.0

import { fileURLToPath } from 'node:url';
import { againAsRoot, BEHIND_SUDO, invokingUser, isRoot } from './privileges.mjs';
import { awaitReady, startLoader, startService, stopAsked, stopProgram } from './processes.mjs';
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
  const user = invokingUser();
  const loader = await startLoader({ socket: SOCKET, pinDir: PIN_DIR, socketGroup: user?.gid });
  const service = startService({ args, user, env: { WHODUNIT_SOCKET: SOCKET } });
  try {
    await Promise.race([awaitReady(service, HEALTH), asked]);
    console.error(`whodunit watches. http://${HEALTH}/readyz answers; Ctrl-C ends it.`);
    const first = await Promise.race([asked, ended(service), ended(loader)]);
    if (first.name !== undefined) throw new Failure(`${first.name} ended with ${first.how.why}, so whodunit stops.`);
  } finally {
    const serviceEnd = await stopProgram(service);
    const loaderEnd = await stopProgram(loader);
    console.error(`whodunit has stopped (service: ${serviceEnd.why}, loader: ${loaderEnd.why}).`);
  }
  return 0;
});

async function ended(running) {
  return { name: running.name, how: await running.ended };
}
