// SPDX-License-Identifier: Apache-2.0
// Numbers of include/uapi/asm-generic/unistd.h (arm64), arch/x86/entry/syscalls/*.tbl (x86-64, x32, i386) and arch/arm/tools/syscall.tbl.
import { expect, it } from 'vitest';
import {
  AUDIT_ARCH_AARCH64,
  AUDIT_ARCH_ARM,
  AUDIT_ARCH_I386,
  AUDIT_ARCH_X86_64,
  syscallName,
} from '../../../src/core/verdict/syscalls.ts';

const X32 = 0x40000000;
const MIPS = 8;

it.each([
  [AUDIT_ARCH_X86_64, 0, 'read'],
  [AUDIT_ARCH_X86_64, 17, 'pread64'],
  [AUDIT_ARCH_X86_64, 62, 'kill'],
  [AUDIT_ARCH_X86_64, 234, 'tgkill'],
  [AUDIT_ARCH_X86_64, 334, 'rseq'],
  [AUDIT_ARCH_X86_64, 400, '400'],
  [AUDIT_ARCH_X86_64, 424, 'pidfd_send_signal'],
  [AUDIT_ARCH_X86_64, 462, 'mseal'],
  [AUDIT_ARCH_X86_64, 471, 'rseq_slice_yield'],
  [AUDIT_ARCH_X86_64, 472, '472'],
  [AUDIT_ARCH_X86_64, 521, '521'],
  [AUDIT_ARCH_X86_64 | 0, 101, 'ptrace'],
  [AUDIT_ARCH_X86_64, X32, 'read'],
  [AUDIT_ARCH_X86_64, X32 + 62, 'kill'],
  [AUDIT_ARCH_X86_64, X32 + 521, 'ptrace'],
  [AUDIT_ARCH_X86_64, X32 + 524, 'rt_sigqueueinfo'],
  [AUDIT_ARCH_X86_64, X32 + 600, String(X32 + 600)],
  [AUDIT_ARCH_I386, 1, 'exit'],
  [AUDIT_ARCH_I386, 37, 'kill'],
  [AUDIT_ARCH_I386, 178, 'rt_sigqueueinfo'],
  [AUDIT_ARCH_I386, 270, 'tgkill'],
  [AUDIT_ARCH_I386, X32 + 62, String(X32 + 62)],
  [AUDIT_ARCH_AARCH64, 0, 'io_setup'],
  [AUDIT_ARCH_AARCH64, 117, 'ptrace'],
  [AUDIT_ARCH_AARCH64 | 0, 129, 'kill'],
  [AUDIT_ARCH_AARCH64, 259, '259'],
  [AUDIT_ARCH_AARCH64, 260, 'wait4'],
  [AUDIT_ARCH_AARCH64, 424, 'pidfd_send_signal'],
  [AUDIT_ARCH_ARM, 0, 'restart_syscall'],
  [AUDIT_ARCH_ARM, 7, '7'],
  [AUDIT_ARCH_ARM, 37, 'kill'],
  [AUDIT_ARCH_ARM, 268, 'tgkill'],
  [AUDIT_ARCH_ARM, -1, '-1'],
  [MIPS, 37, '37'],
  [null, 62, '62'],
])('architecture %i, number %i: %s', (arch, number, name) => {
  expect(syscallName(number, arch)).toBe(name);
});
