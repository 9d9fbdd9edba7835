// SPDX-License-Identifier: Apache-2.0
// Stacks of programs whose files are hard to come by: in containers, whose layers vanish, in file systems that nothing else has mounted, of
// another user, removed or replaced. With the loader as root starts it, as docker-compose.yml does, and as the DaemonSet does. packages.test.ts has the units.
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Docker, startDocker } from '../../scripts/stack/docker.ts';
import { ROOT, startProgram, temporaryDirectory, until } from '../../scripts/stack/program.ts';
import { place, startLoader } from '../../scripts/stack/whodunit.ts';
import { compose } from './compose.ts';
import { containersOf, example, workloadOf } from './manifests.ts';

const WITHIN_MS = 120_000;
const IMAGE = 'whodunit-crashing:1.0.0';
const LOADER_IMAGE = 'whodunit-loader:0.1.0';
/** The user whose executable no one else may read. It owns nothing on any machine. */
const USER = 54_341;
const FUNCTIONS = ['leaf', 'four', 'three', 'two', 'one', 'main'];

interface Crash {
  readonly state: string;
  readonly end: string;
  readonly complete: boolean;
  readonly frames: readonly { readonly function: string | null; readonly guess: boolean }[];
  readonly problems: readonly string[];
}

const cleanUp: (() => unknown)[] = [];
/** Undone after the tests with one loader. */
const ofLoader: (() => unknown)[] = [];
const undo = async (all: (() => unknown)[]) => {
  for (const one of all.splice(0).reverse()) await one();
};
afterAll(() => undo(cleanUp));

const run = (program: string, args: readonly string[], input?: Buffer) => {
  const { status, stdout, stderr } = spawnSync(program, args, { input, maxBuffer: 64 << 20 });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${status}\n${stderr}`);
  return stdout;
};

/** A directory with the program under each of these names, and all that it needs as a root directory. */
const root = temporaryDirectory();
const inRoot = (name: string) => join(root.path, 'bin', name);

function makeRoot(): void {
  mkdirSync(join(root.path, 'bin'));
  const source = join(ROOT, 'test/delivery/crashing/chain.c');
  run('cc', ['-O2', '-fomit-frame-pointer', '-rdynamic', '-s', '-o', inRoot('chain'), source]);
  copyFileSync('/bin/busybox', inRoot('busybox'));
  for (const [, library = ''] of run('ldd', [inRoot('chain')])
    .toString()
    .matchAll(/(\/\S+) \(/g)) {
    mkdirSync(join(root.path, library, '..'), { recursive: true });
    copyFileSync(library, join(root.path, library));
    chmodSync(join(root.path, library), 0o755);
  }
  copyFileSync(inRoot('chain'), inRoot('own'));
  copyFileSync(inRoot('chain'), inRoot('private'));
  chownSync(inRoot('private'), USER, USER);
  chmodSync(inRoot('private'), 0o700);
  chmodSync(root.path, 0o755);
}

/** Runs in a container. The layers of the image stay, what the container has written goes with it. */
const inContainer = (...args: string[]) => ['docker', 'run', '--rm', '--network', 'none', ...args];
/** A shell command that copies the program, and executes the copy. */
const copied = (path: string, ...args: string[]) => [
  ...['/bin/busybox', 'sh', '-c', `/bin/busybox cp /bin/chain ${path} && exec ${path} ${args.join(' ')}`],
];
/** Executes it in a root directory in memory, in a mount namespace that ends with it. */
const inMemory = (name: string) => [
  ...['unshare', '--mount', 'sh', '-ec'],
  `mount -t tmpfs tmpfs /mnt && cp -a ${root.path}/. /mnt && cp /mnt/bin/chain /mnt/bin/${name} && exec chroot /mnt /bin/${name}`,
];
const onHost = (name: string, ...args: string[]) => [
  ...['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--clear-groups', '--', 'sh', '-ec'],
  `cp ${inRoot('chain')} ${files.path}/${name} && cp ${inRoot('chain')} ${files.path}/other && chmod 700 ${files.path}/${name} && exec ${files.path}/${name} ${args.join(' ')}`,
];
const files = temporaryDirectory();
cleanUp.push(files.remove, root.remove);

/** Each program has a name of its own, by which its record is found. */
const CASES: readonly [what: string, name: string, command: readonly string[]][] = [
  ['a program of the image', 'own', inContainer(IMAGE, '/bin/own')],
  [
    'another user’s executable with mode 0700, of the image',
    'private',
    inContainer('--user', `${USER}`, IMAGE, '/bin/private'),
  ],
  ['a program in the container’s own layer', 'written', inContainer(IMAGE, ...copied('/bin/written'))],
  ['a program that removed itself from there', 'gone', inContainer(IMAGE, ...copied('/bin/gone', 'unlink'))],
  [
    'a program in a tmpfs of the container',
    'intmpfs',
    inContainer('--tmpfs', '/mnt:exec', IMAGE, ...copied('/mnt/intmpfs')),
  ],
  ['a program with a root directory in memory', 'inmemory', inMemory('inmemory')],
  ['another user’s executable with mode 0700', 'mine', onHost('mine')],
  ['an executable that was unlinked', 'unlinked', onHost('unlinked', 'unlink')],
  ['an executable that was replaced', 'replaced', onHost('replaced', 'replace', join(files.path, 'other'))],
];

/** What the loader's clients are sent: the crashes of programs with these names, and what it says that stacks lack. */
interface Followed {
  readonly crashOf: (name: string) => Crash | undefined;
  readonly missing: () => readonly string[] | undefined;
}

function follow(socket: string): Followed {
  let text = '';
  const connection = createConnection(socket);
  ofLoader.push(() => connection.destroy());
  connection.on('data', (chunk) => (text += chunk.toString()));
  const ofType = (type: string) =>
    text
      .split('\n')
      .slice(0, -1)
      .filter((line) => line.includes(`"type":"${type}"`))
      .map((line) => JSON.parse(line));
  return {
    crashOf: (name) => ofType('death').find(({ process: victim }) => victim.comm === name)?.crash,
    missing: () => ofType('hello')[0]?.stacks.missing,
  };
}

/** How a loader is started: returns its socket and its output. */
interface Started {
  readonly socket: string;
  readonly output: () => string;
}

let docker: Docker;

beforeAll(async () => {
  makeRoot();
  chmodSync(files.path, 0o777);
  docker = await startDocker();
  cleanUp.push(docker.stop);
  const archive = join(files.path, 'root.tar');
  run('tar', ['-C', root.path, '-cf', archive, '.']);
  docker.call(['import', archive, IMAGE]);
});

async function byRoot(): Promise<Started> {
  const at = await place();
  ofLoader.push(() => at.directory.remove());
  const loader = await startLoader(at);
  ofLoader.push(loader.stop);
  return { socket: at.socket, output: loader.output };
}

/** The image has the program that was built for this machine. */
function importLoader(): void {
  const image = temporaryDirectory();
  copyFileSync(join(ROOT, 'build/whodunit-loader'), join(image.path, 'whodunit-loader'));
  const archive = join(files.path, 'loader.tar');
  run('tar', ['-C', image.path, '-cf', archive, '.']);
  image.remove();
  const change = ['--change', 'ENTRYPOINT ["/whodunit-loader"]', '--change', 'CMD ["run"]'];
  docker.call(['import', ...change, archive, LOADER_IMAGE]);
}

/** compose.docker-20.yaml: the Docker daemon of Debian is that old. */
async function byCompose(): Promise<Started> {
  importLoader();
  const call = (...args: string[]) => compose(['docker-compose.yml', 'compose.docker-20.yaml'], args, docker.env);
  ofLoader.push(() => {
    call('stop', '--timeout', '5', 'loader');
    call('run', '--rm', '--no-deps', 'loader', 'unload');
    call('down', '--volumes', '--timeout', '3');
  });
  call('up', '--detach', '--no-build', 'loader');
  const output = () => call('logs', '--no-color', 'loader');
  await until('the loader is ready', WITHIN_MS, () => /\bready\b/.test(output()) || undefined, output);
  const { Mountpoint } = JSON.parse(docker.call(['volume', 'inspect', 'whodunit_socket']))[0];
  return { socket: join(Mountpoint, 'events.sock'), output };
}

/** Runs the container of the DaemonSet, as far as Docker can: with its user, its capabilities, and its socket in memory. The chart renders the same. */
async function byManifest(): Promise<Started> {
  importLoader();
  const loader = containersOf(workloadOf(example('daemonset.yaml'))).find(({ name }) => name === 'loader');
  const { runAsUser, runAsGroup, capabilities } = loader.securityContext;
  const known = capabilities.add.map((one: string) => (/^(BPF|PERFMON)$/.test(one) ? 'SYS_ADMIN' : one)); // compose.docker-20.yaml
  const memory = mkdtempSync('/dev/shm/whodunit-test-');
  ofLoader.push(() => rmSync(memory, { recursive: true }));
  const options = [
    ...['--cap-drop', 'ALL', ...known.flatMap((one: string) => ['--cap-add', one])],
    ...['--user', `${runAsUser}:${runAsGroup}`, '--read-only', '--security-opt', 'no-new-privileges:true'],
    ...[
      '--security-opt',
      'apparmor=unconfined',
      '--volume',
      '/sys/fs/bpf:/sys/fs/bpf',
      '--volume',
      `${memory}:/run/whodunit`,
    ],
    ...loader.env.flatMap(({ name, value }: { name: string; value: string }) => ['--env', `${name}=${value}`]),
  ];
  const run = (...args: string[]) =>
    docker.call(['run', ...args.slice(0, 1), ...options, LOADER_IMAGE, ...args.slice(1)]);
  const id = run('--detach').trim();
  ofLoader.push(() => {
    docker.call(['rm', '--force', id]);
    run('--rm', 'unload');
  });
  const output = () => spawnSync('/usr/bin/docker', ['logs', id], { env: docker.env, encoding: 'utf8' }).stderr;
  await until('the loader is ready', WITHIN_MS, () => /\bready\b/.test(output()) || undefined, output);
  return { socket: join(memory, 'events.sock'), output };
}

describe.each([
  ['as root starts it', byRoot],
  ['as docker-compose.yml has it', byCompose],
  ['as the DaemonSet has it', byManifest],
])('with the loader %s, the functions are named of', (_, start) => {
  let sent: Followed;
  let loader: Started;

  beforeAll(async () => {
    loader = await start();
    sent = follow(loader.socket);
  });

  afterAll(() => undo(ofLoader));

  it('all of these, it says', async () => {
    expect(await until('hello', WITHIN_MS, sent.missing)).toEqual([]);
  });

  it.each(CASES)('%s', async (_what, name, [program = '', ...args]) => {
    const victim = startProgram(program === 'docker' ? '/usr/bin/docker' : program, args, {
      env: { ...process.env, ...docker.env },
    });
    await victim.ended;
    const crash = await until(
      'the record',
      WITHIN_MS,
      () => sent.crashOf(name),
      () => `${victim.output()}${loader.output()}`,
    );
    expect(
      crash.frames.slice(0, FUNCTIONS.length).map((frame) => frame.function),
      JSON.stringify(crash, null, 1),
    ).toEqual(FUNCTIONS);
    expect(crash).toMatchObject({ state: 'unwound', complete: true });
    expect(crash.frames.filter((frame) => frame.guess)).toEqual([]);
  });
});

it.each([
  [
    'names the file system of the layers',
    ['--cap-add', 'DAC_READ_SEARCH'],
    /^ok +layers of containers +by handle, in ext4/m,
  ],
  [
    'says which capability is missing',
    [],
    /^degraded +layers of containers +not readable +functions of programs in containers.* have no names; grant CAP_DAC_READ_SEARCH.*--cap-add/m,
  ],
])('`check` in a container %s', (_, options, row) => {
  importLoader();
  const args = ['run', '--rm', '--cap-drop', 'ALL', ...options, '--network', 'none', LOADER_IMAGE, 'check'];
  expect(spawnSync('/usr/bin/docker', args, { env: docker.env, encoding: 'utf8' }).stdout).toMatch(row);
});
