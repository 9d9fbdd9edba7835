// The programs of the world that the conformance suite lets die and kill, and the victims that it compiles for that.
//
// SPDX-License-Identifier: Apache-2.0

import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { requirePackages } from './packages.mjs';
import { ROOT, run, step } from './steps.mjs';

/** Where the compiled victims are. */
export const WORLD = join(ROOT, 'build/world');
const SOURCES = join(ROOT, 'test/deaths/world');

/** The publisher of test/story/thread-context.test.ts: the ways in which a compiler and a linker may place a thread's variable. */
const THREADS = join(ROOT, 'test/story/threads');
const PROGRAM = join(THREADS, 'thread_context.c');
const VARIABLE = join(THREADS, 'attach.c');
const [DESCRIPTOR, TRADITIONAL] = process.arch === 'arm64' ? ['desc', 'trad'] : ['gnu2', 'gnu'];
const LIBRARY = ['-shared', '-fPIC', `-mtls-dialect=${DESCRIPTOR}`];
const EXPORT = '-Wl,--export-dynamic-symbol=otel_thread_ctx_v1';
const PUBLISHERS = [
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

/** Which of Debian's packages has the program: for those that a machine may lack. */
const PACKAGE_OF = {
  perl: 'perl',
  java: 'default-jdk-headless',
  javac: 'default-jdk-headless',
  gcc: 'gcc',
  'g++': 'g++',
  rustc: 'rustc',
  pkill: 'procps',
  sudo: 'sudo',
  'systemd-run': 'systemd',
  dockerd: 'docker.io',
  runc: 'runc',
};
/** Others of that name would not do: a busybox for a container is static, and version managers have a script for python3. */
const PACKAGES = ['busybox-static', 'python3'];
const SYSTEM_DIRECTORIES = '/usr/sbin:/sbin';

const isThere = (program) => {
  const env = { ...process.env, PATH: `${process.env.PATH}:${SYSTEM_DIRECTORIES}` };
  return spawnSync('sh', ['-c', `command -v ${program}`], { env }).status === 0;
};

/** One after the other: the last of them is linked with a library before it. */
async function buildPublishers() {
  for (const [output, ...args] of PUBLISHERS) await run('gcc', ['-O1', '-Wall', '-o', join(WORLD, output), ...args]);
}

/** Resolves when every program is there that the cases of test/deaths/undertaker/cases_world.go need, and the victims are built. */
export async function prepareWorld() {
  const missing = Object.keys(PACKAGE_OF).filter((program) => !isThere(program));
  const packages = new Set([...missing.map((program) => PACKAGE_OF[program]), ...PACKAGES]);
  await requirePackages([...packages], 'The part of test/deaths in which programs of the world die');
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
