// SPDX-License-Identifier: Apache-2.0
// Builds programs that crash in known functions, for this machine or an emulated one: in C and stripped, in C++, in Go and stripped. It keeps
// the symbols that were stripped: tests name the functions of a stack by them (test/kernels/stack.ts).
//
// clang compiles for both architectures: Debian 12 does not let gcc for one of them be installed beside gcc for 32 bits.
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { requirePackages } from '../base/debian.ts';
import { run } from '../base/run.ts';
import { ROOT } from '../paths.ts';
import { CLANG, NM, requireCompiler } from './clang.ts';
import type { Arch } from './machine.ts';

const SOURCES = join(ROOT, 'loader/internal/unwind/testdata');
/** Frames as most programs have them. Without the checks that would end the program before it crashes in its own way. */
const FLAGS = ['-O2', '-fomit-frame-pointer', '-fno-stack-protector', '-w', '-pthread'];
/** The libraries that the programs need, as the compiler finds them. */
const LIBRARIES = ['libc.so.6', 'libm.so.6', 'libgcc_s.so.1', 'libstdc++.so.6'];

interface Target {
  /** For the compiler. */
  readonly flags: readonly string[];
  /** The directory of libraries, and the path of the dynamic linker, on a machine of this architecture. */
  readonly libraries: string;
  readonly interpreter: string;
}

const TARGETS: Readonly<Record<Arch, Target>> = {
  amd64: {
    flags: ['--target=x86_64-linux-gnu'],
    libraries: '/lib/x86_64-linux-gnu',
    interpreter: '/lib64/ld-linux-x86-64.so.2',
  },
  arm64: {
    flags: ['--target=aarch64-linux-gnu', '-mbranch-protection=standard'], // return addresses are signed
    libraries: '/lib/aarch64-linux-gnu',
    interpreter: '/lib/ld-linux-aarch64.so.1',
  },
};

/** Requires the compiler, and headers and libraries for the architecture. */
async function requireLibraries(arch: Arch): Promise<void> {
  const purpose = `Building programs that crash, for ${arch},`;
  await requireCompiler();
  await requirePackages(['gcc', 'g++', 'libc6-dev'], purpose);
  if (arch === (process.arch === 'x64' ? 'amd64' : process.arch)) return;
  const major = (await run('gcc', ['-dumpversion'])).trim();
  const binutils = `binutils-${arch === 'arm64' ? 'aarch64' : 'x86-64'}-linux-gnu`;
  await requirePackages([binutils, `libc6-dev-${arch}-cross`, `libstdc++-${major}-dev-${arch}-cross`], purpose);
}

/** The directories of the programs and of their symbols (`NAME.symbols`, as nm prints them). */
export interface CrashPrograms {
  readonly programs: string;
  readonly symbols: string;
}

export async function buildCrashPrograms(arch: Arch, { programs, symbols }: CrashPrograms): Promise<void> {
  await requireLibraries(arch);
  for (const directory of [programs, symbols]) {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
  }
  const compile = async (name: string, source: string, ...more: readonly string[]): Promise<string> => {
    const output = join(programs, name);
    await run(CLANG, [...TARGETS[arch].flags, ...FLAGS, '-o', output, join(SOURCES, source), ...more]);
    return output;
  };
  for (const [name, ...more] of [['crash-c'], ['crash-static', '-static']] as const) {
    const output = await compile(name, 'crashes.c', ...more);
    writeFileSync(join(symbols, `${name}.symbols`), await run(NM, ['--numeric-sort', '--defined-only', output]));
    await compile(name, 'crashes.c', '-s', ...more);
  }
  await compile('crash-cpp', 'throws.cc', '-lstdc++');
  const go = ['build', '-trimpath', '-ldflags=-s -w', '-o', join(programs, 'crash-go'), join(SOURCES, 'gocrash')];
  await run('go', go, { env: { CGO_ENABLED: '0', GOARCH: arch } });
}

/** Copies the libraries that the programs need to where they look for them in the root directory of a machine. */
export async function copyLibraries(arch: Arch, root: string): Promise<void> {
  const { flags, libraries, interpreter } = TARGETS[arch];
  for (const path of [...LIBRARIES.map((name) => join(libraries, name)), interpreter]) {
    const found = await run(CLANG, [...flags, `-print-file-name=${basename(path)}`]);
    mkdirSync(join(root, dirname(path)), { recursive: true });
    copyFileSync(found.trim(), join(root, path));
  }
}
