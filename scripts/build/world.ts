// SPDX-License-Identifier: Apache-2.0
// Prepares the conformance suite: the machine's programs that it runs as victims and senders, and the victims that it compiles.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { requirePrograms } from '../base/debian.ts';
import { run, step } from '../base/run.ts';
import { ROOT, WORLD } from '../paths.ts';

const SOURCES = join(ROOT, 'test/deaths/world');

/** The publisher of test/story/thread-context.test.ts, once for each TLS model and linkage that a compiler and a linker can produce. */
const THREADS = join(ROOT, 'test/story/threads');
const PROGRAM = join(THREADS, 'thread_context.c');
const VARIABLE = join(THREADS, 'attach.c');
const [DESCRIPTOR, TRADITIONAL] = process.arch === 'arm64' ? ['desc', 'trad'] : ['gnu2', 'gnu'];
const LIBRARY = ['-shared', '-fPIC', `-mtls-dialect=${DESCRIPTOR}`];
const EXPORT = '-Wl,--export-dynamic-symbol=otel_thread_ctx_v1';
const PUBLISHERS: readonly (readonly [output: string, ...args: string[]])[] = [
  ['threads-in-program', '-rdynamic', PROGRAM, VARIABLE],
  ['threads-in-program-aligned', '-rdynamic', '-DLARGE', PROGRAM, VARIABLE],
  ['threads-in-program-fixed', '-no-pie', '-rdynamic', PROGRAM, VARIABLE],
  ['threads-in-program-static', '-static-pie', EXPORT, PROGRAM, VARIABLE],
  ['libthreads.so', ...LIBRARY, VARIABLE],
  ['libthreads-symbolic.so', ...LIBRARY, '-DPROTECTED', VARIABLE],
  ['libthreads-large.so', ...LIBRARY, '-DLARGE', VARIABLE],
  ['libthreads-traditional.so', '-shared', '-fPIC', `-mtls-dialect=${TRADITIONAL}`, '-DLARGE', VARIABLE],
  ['libthreads-initial.so', '-shared', '-fPIC', '-ftls-model=initial-exec', VARIABLE],
  ['threads-alone', PROGRAM],
  ['threads-with-library', PROGRAM, `-L${WORLD}`, '-Wl,--no-as-needed', '-lthreads', '-Wl,-rpath,$ORIGIN'],
];

/** Program → Debian package. */
const PACKAGE_OF: Readonly<Record<string, string>> = {
  perl: 'perl',
  java: 'default-jdk-headless',
  javac: 'default-jdk-headless',
  gcc: 'gcc',
  'g++': 'g++',
  rustc: 'rustc',
  pkill: 'procps',
  gunicorn: 'gunicorn',
  sudo: 'sudo',
  'systemd-run': 'systemd',
  dockerd: 'docker.io',
  runc: 'runc',
  earlyoom: 'earlyoom',
  supervisord: 'supervisor',
  nohang: 'nohang',
  erl: 'erlang-base',
  sshd: 'openssh-server',
  ssh: 'openssh-client',
  tmux: 'tmux',
  screen: 'screen',
  cron: 'cron',
};
/**
 * Required as packages, because another program of that name may not work: busybox in a container must be static, and version managers
 * install a script as python3. The programs of postgresql are not on the path.
 */
const PACKAGES = ['busybox-static', 'python3', 'postgresql'];
/** Sequential: the last one links a library that is built before it. */
async function buildPublishers(): Promise<void> {
  for (const [output, ...args] of PUBLISHERS) await run('gcc', ['-O1', '-Wall', '-o', join(WORLD, output), ...args]);
}

/** Installs the programs that test/deaths/undertaker/cases_world.go needs, and builds the victims. */
export async function prepareWorld(): Promise<void> {
  await requirePrograms(PACKAGE_OF, PACKAGES, "test/deaths, which runs the machine's programs,");
  mkdirSync(WORLD, { recursive: true });
  await step('building the victims in Java, C, C++ and Rust', () =>
    Promise.all([
      buildPublishers(),
      run('javac', ['-nowarn', '-XDignore.symbol.file', '-d', WORLD, join(SOURCES, 'Mortal.java')]),
      run('g++', ['-O0', '-o', join(WORLD, 'terminate'), join(SOURCES, 'terminate.cpp')]),
      run('rustc', ['-o', join(WORLD, 'panic'), join(SOURCES, 'panic.rs')]),
    ]),
  );
}
