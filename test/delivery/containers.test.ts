// SPDX-License-Identifier: Apache-2.0
// Containers of real runtimes by name: Docker, and Podman where it is installed, with and without their sockets. Runtimes that are absent or
// lie: test/io/docker/containers.test.ts.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDocker } from '../../scripts/stack/docker.ts';
import { type Program, startProgram, temporaryDirectory, until } from '../../scripts/stack/program.ts';
import { place, startLoader, startService } from '../../scripts/stack/whodunit.ts';

const WITHIN_MS = 120_000;
const IMAGE = 'whodunit-named:1.2';
const PODMAN = '/usr/bin/podman';
/** Neither runtime may raise its own limits where the tests run. */
const LIMITS = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];

const cleanUp: (() => unknown)[] = [];
const undo = async (all: (() => unknown)[]) => {
  for (const one of all.splice(0).reverse()) await one();
};
afterAll(() => undo(cleanUp));

const files = temporaryDirectory();
cleanUp.push(files.remove);
const archive = join(files.path, 'root.tar');

function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', env });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${status}\n${stderr}`);
  return stdout.trim();
}

interface Runtime {
  readonly call: (...args: string[]) => string;
  readonly socket: string;
}

async function docker(): Promise<Runtime> {
  const { call, env, stop } = await startDocker();
  cleanUp.push(stop);
  return { call: (...args) => call(args).trim(), socket: String(env.DOCKER_HOST).replace('unix://', '') };
}

/** Its storage and its files are in the test's directory. */
async function podman(): Promise<Runtime> {
  const at = (name: string) => join(files.path, `podman-${name}`);
  const storage = `[storage]\ndriver = "vfs"\nrunroot = "${at('run')}"\ngraphroot = "${at('graph')}"\n`;
  writeFileSync(at('storage.conf'), storage);
  const env = { ...process.env, CONTAINERS_STORAGE_CONF: at('storage.conf') };
  const options = [
    '--cgroup-manager=cgroupfs',
    '--runtime=/usr/sbin/runc',
    '--events-backend=file',
    '--tmpdir',
    at('tmp'),
  ];
  const socket = at('socket');
  const service = startProgram(PODMAN, [...options, 'system', 'service', '--time=0', `unix://${socket}`], { env });
  cleanUp.push(() => service.stop());
  await until('the socket of Podman', WITHIN_MS, () => existsSync(socket) || undefined, service.output);
  return { call: (...args) => run(PODMAN, [...options, ...args], env), socket };
}

interface Report {
  readonly body: string;
  readonly resource: { readonly attributes: Readonly<Record<string, unknown>> };
}

interface Watching {
  readonly service: Program;
  /** The report of a process that ended in the container. */
  readonly reportOf: (id: string) => Promise<Report>;
  /** How many containers it knows. */
  readonly known: () => Promise<number>;
  readonly stop: () => Promise<void>;
}

async function watch(env: NodeJS.ProcessEnv, expected: RegExp): Promise<Watching> {
  const at = await place();
  const loader = await startLoader(at);
  const service = startService(at, { WHODUNIT_REPORT: 'default', ...env }, ['--output', 'json']);
  const output = () => service.output();
  await until('it is connected', WITHIN_MS, () => /consumer connected/.test(loader.output()) || undefined, output);
  await until('the runtime', WITHIN_MS, () => expected.test(output()) || undefined, output);
  const line = (id: string) =>
    service
      .stdout()
      .split('\n')
      .slice(0, -1)
      .find((text) => text.includes(`"container.id":"${id}"`));
  const stop = async () => {
    await service.stop();
    await loader.stop();
    at.directory.remove();
  };
  return {
    service,
    reportOf: async (id) => JSON.parse(await until(`the report of ${id}`, WITHIN_MS, () => line(id), output)),
    known: async () => {
      const status = await (await fetch(`http://${at.health}/status`)).json();
      return (status as { containers: { known: number } }).containers.known;
    },
    stop,
  };
}

beforeAll(() => {
  const root = temporaryDirectory();
  cleanUp.push(root.remove);
  mkdirSync(join(root.path, 'bin'));
  copyFileSync('/bin/busybox', join(root.path, 'bin/busybox'));
  symlinkSync('busybox', join(root.path, 'bin/sh'));
  run('tar', ['-C', root.path, '-cf', archive, '.']);
});

const RUNTIMES: readonly [name: string, start: () => Promise<Runtime>, image: string, isThere: boolean][] = [
  ['Docker', docker, 'whodunit-named', true],
  ['Podman', podman, 'localhost/whodunit-named', existsSync(PODMAN)],
];

for (const [name, start, image, isThere] of RUNTIMES) {
  describe.skipIf(!isThere)(`a container of ${name}`, () => {
    let runtime: Runtime;
    let started = 0;
    const create = (command: readonly string[], ...options: string[]) => {
      started += 1;
      const called = options.includes('--name') ? [] : ['--name', `c-${started}`];
      const network = options.includes('--network') ? [] : ['--network', 'none'];
      return runtime.call('create', ...network, ...LIMITS, ...called, ...options, IMAGE, '/bin/busybox', ...command);
    };
    const FAILS = ['sh', '-c', 'exit 3'];
    const SLEEPS = ['sleep', '1000'];

    beforeAll(async () => {
      runtime = await start();
      runtime.call('import', archive, IMAGE);
    });

    describe('without the socket', () => {
      let watching: Watching;
      beforeAll(async () => {
        watching = await watch({}, /./);
      });
      afterAll(() => watching.stop());

      it('is called by its host name', async () => {
        const id = create(FAILS, '--hostname', 'db-0');
        runtime.call('start', id);
        const { body, resource } = await watching.reportOf(id);
        expect(body).toMatch(/^busybox sh \(pid \d+, in a container with the host name db-0\) exited with code 3/);
        expect(resource.attributes).toMatchObject({
          'service.name': 'db-0',
          'whodunit.identity.source': 'container_hostname',
          'whodunit.container.hostname': 'db-0',
          'whodunit.identity.claimed': ['service.name', 'whodunit.container.hostname'],
        });
      });

      it('is called by its id if no one chose a host name', async () => {
        const id = create(FAILS);
        runtime.call('start', id);
        const { body, resource } = await watching.reportOf(id);
        expect(body).toContain(`, in container ${id.slice(0, 12)})`);
        expect(resource.attributes).toMatchObject({
          'service.name': 'unknown_service:busybox',
          'whodunit.container.hostname': id.slice(0, 12),
        });
        expect(resource.attributes).not.toHaveProperty('container.name');
      });

      it('is called by its id if it has the name of the machine', async () => {
        const id = create(FAILS, '--network', 'host');
        runtime.call('start', id);
        const { body, resource } = await watching.reportOf(id);
        expect(body).toContain(`, in container ${id.slice(0, 12)})`);
        expect(resource.attributes).toMatchObject({ 'service.name': 'unknown_service:busybox' });
        expect(resource.attributes).not.toHaveProperty('whodunit.container.hostname');
      });
    });

    describe('with the socket', () => {
      let watching: Watching;
      let running: string;
      beforeAll(async () => {
        running = create(SLEEPS, '--name', 'before');
        runtime.call('start', running);
        watching = await watch({ WHODUNIT_DOCKER_SOCKET: runtime.socket }, /containers are named by/);
      });
      afterAll(() => watching.stop());

      /** Podman reads its events from a file, and sends them up to a second later. They come in order. */
      const eventsAreRead = async () => {
        create(SLEEPS);
        const there = runtime.call('ps', '--all', '--quiet').split('\n').length;
        const areRead = async () => (await watching.known()) === there || undefined;
        await until('the containers are known', WITHIN_MS, areRead, watching.service.output);
      };

      it('that ran before is named by the list, and the one that killed it by the sentence', async () => {
        runtime.call('kill', running);
        const { body, resource } = await watching.reportOf(running);
        expect(body).toMatch(
          /^busybox sleep \(pid \d+, in container before\) was killed by SIGKILL, sent by (?:runc|podman) \(/,
        );
        expect(resource.attributes).toMatchObject({
          'service.name': 'before',
          'whodunit.identity.source': 'container',
          'container.name': 'before',
          'container.image.name': image,
          'container.image.tags': ['1.2'],
        });
      });

      it('that is removed when it ends is named in its first record', async () => {
        const called = ['one', 'two', 'three'];
        const ids = called.map((name) => [name, create(FAILS, '--rm', '--name', name)] as const);
        await eventsAreRead();
        for (const [, id] of ids) runtime.call('start', id);
        for (const [called, id] of ids) {
          const { body, resource } = await watching.reportOf(id);
          expect(body).toContain(`, in container ${called}) exited with code 3`);
          expect(resource.attributes).toMatchObject({ 'service.name': called, 'container.name': called });
        }
      });

      it('of Compose is its service', async () => {
        const labels = ['--label', 'com.docker.compose.project=shop', '--label', 'com.docker.compose.service=web'];
        const id = create(FAILS, '--name', 'shop-web-1', ...labels);
        await eventsAreRead();
        runtime.call('start', id);
        expect((await watching.reportOf(id)).resource.attributes).toMatchObject({
          'service.name': 'web',
          'service.namespace': 'shop',
          'whodunit.identity.source': 'compose',
          'container.name': 'shop-web-1',
          'container.label.com.docker.compose.project': 'shop',
          'container.label.com.docker.compose.service': 'web',
        });
      });

      it('has its last name', async () => {
        const id = create(FAILS, '--name', 'first');
        runtime.call('rename', 'first', 'last');
        await eventsAreRead();
        runtime.call('start', id);
        expect((await watching.reportOf(id)).resource.attributes).toMatchObject({ 'container.name': 'last' });
      });
    });
  });
}
