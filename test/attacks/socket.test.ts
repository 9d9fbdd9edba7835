// SPDX-License-Identifier: Apache-2.0
// Members of the socket's group, which may read the records, try to take the consumer's place or every other place.
import { chmodSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { ATTACKER, LOADER, type Program, startProgram, until } from '../../scripts/stack/program.ts';
import { loaderStatus, type Place, place, startLoader, startService } from '../../scripts/stack/whodunit.ts';
import { ALICE, awaitFirstLine, MALLORY } from './attacker.ts';

const WITHIN_MS = 60_000;
/** The socket's group. The primary group of no user. */
const GROUP = 54_330;

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

async function started(env: NodeJS.ProcessEnv = {}): Promise<Place> {
  const at = await place();
  cleanUp.push(() => at.directory.remove());
  chmodSync(at.directory.path, 0o711);
  cleanUp.push((await startLoader(at, { WHODUNIT_SOCKET_GROUP: `${GROUP}`, ...env })).stop);
  return at;
}

/** Starts an attack as a user who has the socket's group among the supplementary ones, and waits for its first line. */
function asMember(uid: number, attack: string, { socket }: Place, group: number = uid): Promise<Program> {
  const user = [`--reuid=${uid}`, `--regid=${group}`, `--groups=1,2,3,${GROUP}`, '--inh-caps=-all', '--'];
  const program = startProgram('setpriv', [...user, ATTACKER, attack, socket]);
  cleanUp.push(program.stop);
  return awaitFirstLine(program);
}

/** Waits until the ring holds a record that no service has acknowledged. */
async function waitingRecord({ socket }: Place): Promise<void> {
  await startProgram('sh', ['-c', 'exit 3']).ended;
  await until(
    'a record in the ring',
    WITHIN_MS,
    async () => (await loaderStatus(socket)).ring_used_bytes > 0 || undefined,
  );
}

async function health({ socket }: Place): Promise<number | null> {
  return (await startProgram(LOADER, ['health', '--socket', socket]).ended).code;
}

/** Starts a service as root, and waits until it is the consumer. */
async function serviceReads(at: Place): Promise<void> {
  const service = startService(at);
  cleanUp.push(service.stop);
  await until(
    'readyz',
    WITHIN_MS,
    async () => (await fetch(`http://${at.health}/readyz`).catch(() => null))?.ok || undefined,
    service.output,
  );
}

describe('a member of the group', () => {
  it('cannot become the consumer, and acknowledges nothing; the refusal names the setting', async () => {
    const at = await started();
    await waitingRecord(at);
    const before = await loaderStatus(at.socket);
    const attack = await asMember(MALLORY, 'consume', at);
    await attack.ended;
    const after = await loaderStatus(at.socket);
    expect(attack.stdout()).not.toContain('hello consumer');
    expect(attack.stdout()).toMatch(/^NOT_CONSUMER .*uid 54321.*WHODUNIT_SOCKET_USER/m);
    expect(after.acked_seq).toBe(before.acked_seq);
    await serviceReads(at);
  });

  it('takes neither the place of the service, which another user runs, nor that of `health`', async () => {
    const at = await started({ WHODUNIT_SOCKET_USER: `${ALICE}` });
    // By its primary group, and by a supplementary one.
    for (const group of [GROUP, MALLORY]) {
      const attack = await asMember(MALLORY, 'consume', at, group);
      await attack.ended;
      expect(attack.stdout()).toMatch(/hello watcher.*NOT_CONSUMER/s);
    }
    for (const uid of [MALLORY, MALLORY + 10, MALLORY + 11]) {
      const crowd = await asMember(uid, 'crowd', at);
      if (uid === MALLORY) expect(crowd.stdout()).toMatch(/^served [1-9]/);
    }
    expect(await health(at)).toBe(0);
    const service = await asMember(ALICE, 'consume', at);
    await until('the role', WITHIN_MS, () => service.stdout().includes('hello consumer') || undefined, service.output);
    await asMember(ALICE, 'crowd', at);
    expect(await health(at)).toBe(0);
  });
});
