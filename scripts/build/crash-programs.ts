// SPDX-License-Identifier: Apache-2.0
// Builds programs that crash in known functions, for this machine or an emulated one: in C and stripped, in C++, in Go and stripped. It keeps
// the symbols that were stripped: tests name the functions of a stack by them (test/kernels/stack.ts).
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { requirePackages } from '../base/debian.ts';
import { run } from '../base/run.ts';
import { ROOT } from '../paths.ts';
import type { Arch } from './machine.ts';

const SOURCES = join(ROOT, 'loader/internal/unwind/testdata');
/** Of frames that no debugger has, and without checks that would end the program before it crashes in its own way. */
const FLAGS = ['-O2', '-fomit-frame-pointer', '-fno-stack-protector', '-w', '-pthread'];
/** The libraries that the programs need, as the compiler finds them. */
const LIBRARIES = ['libc.so.6', 'libm.so.6', 'libgcc_s.so.1', 'libstdc++.so.6'];

interface Toolchain {
  /** The packages that compile for it on another architecture. */
  readonly packages: readonly string[];
  /** Of the names of its programs. */
  readonly prefix: string;
  readonly flags: readonly string[];
  /** The directory of libraries, and the path of the dynamic linker, on a machine of this architecture. */
  readonly libraries: string;
  readonly interpreter: string;
}

const TOOLCHAINS: Readonly<Record<Arch, Toolchain>> = {
  amd64: {
    packages: ['gcc-x86-64-linux-gnu', 'g++-x86-64-linux-gnu', 'libc6-dev-amd64-cross'],
    prefix: 'x86_64-linux-gnu-',
    flags: [],
    libraries: '/lib/x86_64-linux-gnu',
    interpreter: '/lib64/ld-linux-x86-64.so.2',
  },
  arm64: {
    packages: ['gcc-aarch64-linux-gnu', 'g++-aarch64-linux-gnu', 'libc6-dev-arm64-cross'],
    prefix: 'aarch64-linux-gnu-',
    flags: ['-mbranch-protection=standard'], // return addresses are signed
    libraries: '/lib/aarch64-linux-gnu',
    interpreter: '/lib/ld-linux-aarch64.so.1',
  },
};
const NATIVE_PACKAGES = ['gcc', 'g++', 'libc6-dev'];
const isNative = (arch: Arch): boolean => arch === (process.arch === 'x64' ? 'amd64' : process.arch);

/** The directories of the programs and of their symbols (`NAME.symbols`, as nm prints them). */
export interface CrashPrograms {
  readonly programs: string;
  readonly symbols: string;
}

export async function buildCrashPrograms(arch: Arch, { programs, symbols }: CrashPrograms): Promise<void> {
  const { packages, prefix, flags } = TOOLCHAINS[arch];
  await requirePackages(isNative(arch) ? NATIVE_PACKAGES : packages, `Building programs that crash, for ${arch},`);
  for (const directory of [programs, symbols]) {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
  }
  const native = async (name: string, compiler: string, source: string, ...more: readonly string[]) => {
    const output = join(programs, name);
    await run(`${prefix}${compiler}`, [...FLAGS, ...flags, ...more, '-o', output, join(SOURCES, source)]);
    const listed = await run(`${prefix}nm`, ['--demangle', '--numeric-sort', '--defined-only', output]);
    writeFileSync(join(symbols, `${name}.symbols`), listed);
    if (source.endsWith('.c')) await run(`${prefix}strip`, [output]);
  };
  await native('crash-c', 'gcc', 'crashes.c');
  await native('crash-static', 'gcc', 'crashes.c', '-static');
  await native('crash-cpp', 'g++', 'throws.cc');
  const env = { CGO_ENABLED: '0', GOARCH: arch };
  const go = ['build', '-trimpath', '-ldflags=-s -w', '-o', join(programs, 'crash-go'), join(SOURCES, 'gocrash')];
  await run('go', go, { env });
}

/** Copies the libraries that the programs need to where they look for them in the root directory of a machine. */
export async function copyLibraries(arch: Arch, root: string): Promise<void> {
  const { prefix, libraries, interpreter } = TOOLCHAINS[arch];
  const copies = [...LIBRARIES.map((name) => join(libraries, name)), interpreter];
  for (const path of copies) {
    const found = await run(`${prefix}gcc`, [`-print-file-name=${basename(path)}`]);
    mkdirSync(join(root, dirname(path)), { recursive: true });
    copyFileSync(found.trim(), join(root, path));
  }
}
