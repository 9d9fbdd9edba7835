// SPDX-License-Identifier: Apache-2.0
// The pinned compiler of bpf/ and its flags.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { requirePackages } from '../base/debian.ts';

export const CLANG = 'clang-19';
export const STRIP = 'llvm-strip-19';
export const NM = 'llvm-nm-19';
export const CLANG_FORMAT = 'clang-format-19';
const PACKAGES = ['clang-19', 'llvm-19', 'clang-format-19', 'libbpf-dev'];

const FLAGS = [
  '-O2',
  '-Wall',
  '-Wextra',
  '-Werror',
  `-I/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`,
];
export const BPF_FLAGS = ['-mcpu=v3', ...FLAGS];
/** Of bpf/old.bpf.c: the instructions that every kernel has. */
export const OLD_BPF_FLAGS = ['-mcpu=v1', ...FLAGS];

/** Requires the compiler and libbpf's headers. They need not come from Debian's packages. */
export async function requireCompiler(): Promise<void> {
  const compiles = [CLANG, NM, STRIP].every((program) => spawnSync(program, ['--version']).status === 0);
  if (compiles && existsSync('/usr/include/bpf/bpf_helpers.h')) return;
  await requirePackages(PACKAGES, 'Compiling bpf/');
}
