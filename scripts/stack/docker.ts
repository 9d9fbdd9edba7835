// SPDX-License-Identifier: Apache-2.0
// A Docker daemon for one test run, isolated from the machine's Docker and probes: it has its own network, BPF file system and runtime
// directory. Images and build cache are kept in a cache outside the repository; a lock admits one test run at a time.
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Program, ROOT, startProgram, temporaryDirectory, until } from './program.ts';

const READY_WITHIN_MS = 120_000;
/** Debian's client, which supports the BuildKit of the daemon; other clients may need a plug-in. */
const CLIENT = '/usr/bin/docker';
const DAEMON = '/usr/sbin/dockerd';
const ALONE = join(ROOT, 'test/deaths/undertaker/dockerd-alone.sh');
/** Runs in the namespaces of the daemon before it starts. */
const PREPARE = 'ip link set lo up && mount -t bpf bpf /sys/fs/bpf && exec /bin/sh "$@"';
const BUILD_CACHE_MAX = '4GB';
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

export interface Docker {
  /** Runs the client until it exits and returns its standard output. If it fails, throws an error with its output. */
  readonly call: (args: readonly string[], options?: { input?: string; cwd?: string }) => string;
  readonly env: NodeJS.ProcessEnv;
  /** Runs a command in the daemon's network. */
  readonly inNetwork: (command: readonly string[]) => string;
  readonly stop: () => Promise<void>;
}

export async function startDocker(): Promise<Docker> {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'whodunit/docker');
  mkdirSync(cache, { recursive: true });
  const directory = temporaryDirectory();
  const inside = (name: string) => join(directory.path, name);
  writeFileSync(inside('daemon.json'), '{}');
  const options = [
    ...['--config-file', inside('daemon.json'), '--host', `unix://${inside('socket')}`, '--pidfile', inside('pid')],
    ...['--data-root', cache, '--exec-root', inside('exec'), '--exec-opt', 'native.cgroupdriver=cgroupfs'],
  ];
  const log = openSync(inside('dockerd.log'), 'w');
  // The daemon receives SIGTERM when this process ends, and stops its containers.
  const args = ['--pdeathsig', 'TERM', 'flock', '--no-fork', join(cache, 'lock')];
  args.push('unshare', '--mount', '--net', 'sh', '-c', PREPARE, 'sh', ALONE, DAEMON, ...options);
  const daemon = startProgram('setpriv', args, { stdio: ['ignore', log, log] });
  closeSync(log);
  const diagnostics = () => readFileSync(inside('dockerd.log'), 'utf8');
  const env = { ...process.env, DOCKER_HOST: `unix://${inside('socket')}`, DOCKER_CONFIG: directory.path };
  const clientEnv = { ...env, DOCKER_BUILDKIT: '1', BUILDKIT_PROGRESS: 'plain' };
  const run = (program: string, rest: readonly string[], more: object = {}) => {
    const { status, stdout, stderr, error } = spawnSync(program, rest, {
      encoding: 'utf8',
      env: clientEnv,
      maxBuffer: OUTPUT_BYTES_MAX,
      ...more,
    });
    if (status !== 0) throw new Error(`${program} ${rest.join(' ')}: ${error?.message ?? status}\n${stdout}${stderr}`);
    return stdout;
  };
  const call = (rest: readonly string[], more: object = {}) => run(CLIENT, rest, more);
  const stop = async () => {
    await endOf(daemon);
    directory.remove();
  };
  try {
    await until(
      'the Docker daemon answers',
      READY_WITHIN_MS,
      () => {
        if (!daemon.alive()) throw new Error(`the Docker daemon has ended:\n${diagnostics()}`);
        return spawnSync(CLIENT, ['version'], { env }).status === 0 || undefined;
      },
      diagnostics,
    );
    // Remove what an interrupted run left, and images that have been rebuilt.
    const left = call(['ps', '--all', '--quiet']).split(/\s+/).filter(Boolean);
    if (left.length > 0) call(['rm', '--force', ...left]);
    for (const what of ['volume', 'network', 'image']) call([what, 'prune', '--force']);
    call(['builder', 'prune', '--force', '--keep-storage', BUILD_CACHE_MAX]);
  } catch (error) {
    await stop();
    throw error;
  }
  const inNetwork = (command: readonly string[]) =>
    run('nsenter', ['--target', String(daemon.pid), '--net', ...command]);
  return { call, env, inNetwork, stop };
}

/** Waits without a limit, because a daemon stops its containers one after the other. */
async function endOf(daemon: Program): Promise<void> {
  if (daemon.alive()) daemon.child.kill('SIGTERM');
  await daemon.ended;
}
