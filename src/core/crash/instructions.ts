// SPDX-License-Identifier: Apache-2.0
// Explains SIGILL, SIGTRAP, SIGFPE, SIGSYS, and SIGSEGV of an instruction that is not allowed: by the bytes of the instruction. After the
// Intel SDM, volume 2, and the Arm ARM, C4.
import { SIGFPE, SIGILL, SIGSEGV, SIGTRAP } from '../verdict/signals.ts';
import { type Explanation, firstOf, type Row } from './explanation.ts';
import type { CrashFacts } from './facts.ts';
import { fileName } from './frames.ts';

const TRAP_DEBUG = 1;
const TRAP_BREAKPOINT = 3;
const TRAP_PROTECTION = 13;
const ILL_ILLOPC = 1;
const FPE_INTDIV = 1;
/** Bytes of an instruction that are shown. */
const SHOWN_BYTES = 8;

export function explainInstruction(facts: CrashFacts): Explanation | null {
  return firstOf([...(facts.x86 ? X86 : ARM64), ...ARITHMETIC], facts);
}

const isIllegal = ({ signo, fault }: CrashFacts): boolean => signo === SIGILL && fault !== null;
const isTrap = ({ signo, fault }: CrashFacts): boolean => signo === SIGTRAP && fault !== null;

/** Whether the code begins with one of these, as hexadecimal digits. */
const begins = ({ code }: CrashFacts, pattern: RegExp): boolean => pattern.test(hexOf(code));
const hexOf = (code: readonly number[]): string => code.map((byte) => byte.toString(16).padStart(2, '0')).join('');
const bytesAt = ({ code }: CrashFacts): string =>
  code
    .slice(0, SHOWN_BYTES)
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join(' ');
const shown = (what: string) => (facts: CrashFacts) => [`the instruction is ${what}: ${bytesAt(facts)}`];

/** `ud1 KIND(%eax)`: what clang's -fsanitize-trap emits. */
const UD1_SANITIZER = /^670fb940/;
const EVEX = /^62/;
const VEX = /^c[45]/;
const PREFIXES = '(?:66|f[023]|4[0-9a-f]|2e|36|3e|26|64|65|67)*';
const PRIVILEGED = new RegExp(`^${PREFIXES}(?:f4|fa|fb|e[4-7]|e[c-f]|6[c-f]|0f(?:06|08|09|30|32|20|22|21|23))`);
const HALT = /^f4/;
const MUSL = /^(?:ld-musl-|libc\.musl-)/;
/** Instructions of SSE, whose operands in memory may have to be aligned, and movaps and its kin of AVX and AVX-512. */
const ALIGNED = new RegExp(
  `^${PREFIXES}(?:0f(?:2[89a-f]|[5-7].|c[26]|[d-f].|38|3a)|(?:c5..|c4....|62......)(?:2[89b]|e7|[67]f))`,
);

const X86: readonly Row[] = [
  {
    reason: 'trap',
    when: (facts) => isIllegal(facts) && begins(facts, UD1_SANITIZER),
    words: 'a check of the undefined behaviour sanitizer failed (ud1)',
    evidence: shown('ud1, as -fsanitize-trap emits it'),
  },
  {
    reason: 'trap',
    when: (facts) => isIllegal(facts) && begins(facts, /^0f(?:0b|b9|ff)/),
    words:
      'a trap that the compiler put there: a failed CHECK, __builtin_trap(), or code that was said to be unreachable (ud2)',
    evidence: shown('ud2, or one of its kind'),
  },
  {
    reason: 'unsupported_instruction',
    when: (facts) => isIllegal(facts) && begins(facts, EVEX),
    words: 'an AVX-512 instruction that this processor, or its hypervisor, does not have',
    evidence: shown('EVEX-encoded (62)'),
  },
  {
    reason: 'unsupported_instruction',
    when: (facts) => isIllegal(facts) && begins(facts, VEX),
    words: 'an AVX, FMA or BMI instruction that this processor, or its hypervisor, does not have',
    evidence: shown('VEX-encoded (c4, c5)'),
  },
  {
    reason: 'illegal_instruction',
    when: (facts) => isIllegal(facts) && facts.code.length > 0,
    words: 'an instruction that this processor does not know',
    evidence: shown('invalid'),
  },
  {
    reason: 'trap',
    when: (facts) => isTrap(facts) && facts.fault?.trap_nr === TRAP_BREAKPOINT,
    words: 'a breakpoint instruction (int3): a trap of the program, or one that a debugger left',
    evidence: () => ['breakpoint exception (trap 3)'],
  },
  {
    reason: 'trap',
    when: (facts) => isTrap(facts) && facts.fault?.trap_nr === TRAP_DEBUG,
    words: 'a single step or a hardware breakpoint, without a debugger',
    evidence: () => ['debug exception (trap 1)'],
  },
  {
    reason: 'trap',
    when: (facts) => isProtected(facts) && begins(facts, HALT),
    words: ({ all: [innermost] }) =>
      MUSL.test(fileName(innermost?.module ?? ''))
        ? 'a check of the C library failed (musl, which has no messages)'
        : 'a trap of the program (hlt), as musl has it in its checks',
    evidence: shown('hlt, which only the kernel may execute'),
  },
  {
    reason: 'privileged_instruction',
    when: (facts) => isProtected(facts) && begins(facts, PRIVILEGED),
    words: 'an instruction that only the kernel may execute',
    evidence: shown('privileged'),
  },
  {
    reason: 'protection_fault',
    when: (facts) => isProtected(facts) && begins(facts, ALIGNED),
    words: 'an operand was not aligned, or at an address that no memory can have',
    evidence: shown('one whose operand may have to be aligned'),
  },
];

/** #GP without an address. */
function isProtected({ signo, fault, address }: CrashFacts): boolean {
  return signo === SIGSEGV && fault?.trap_nr === TRAP_PROTECTION && address === null;
}

/** The instruction as a number. null: not known. */
function word({ code: [a, b, c, d] }: CrashFacts): number | null {
  if (a === undefined || b === undefined || c === undefined || d === undefined) return null;
  return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
}

const matches = (facts: CrashFacts, mask: number, value: number): boolean => {
  const instruction = word(facts);
  return instruction !== null && (instruction & mask) >>> 0 === value;
};
const BRK = [0xffe0_001f, 0xd420_0000] as const;
const immediate = (facts: CrashFacts): number => ((word(facts) ?? 0) >>> 5) & 0xffff;
const isBrk = (facts: CrashFacts): boolean => isTrap(facts) && matches(facts, ...BRK);

const ARM64: readonly Row[] = [
  {
    reason: 'pointer_authentication',
    // What GCC and clang emit after a failed check: brk 0xc470 to 0xc473.
    when: (facts) => isBrk(facts) && immediate(facts) >= 0xc470 && immediate(facts) <= 0xc473,
    words: 'a signed pointer was changed (pointer authentication)',
    evidence: shown('the brk that follows a failed check'),
  },
  {
    reason: 'sanitizer',
    when: (facts) => isBrk(facts) && immediate(facts) >>> 8 === 0x09,
    words: 'the tag of a pointer is not the one of the memory (hardware-assisted address sanitizer)',
    evidence: shown('the brk of HWASan'),
  },
  {
    reason: 'trap',
    when: (facts) => isBrk(facts) && immediate(facts) >>> 8 === 0x55,
    words: 'a check of the undefined behaviour sanitizer failed (brk)',
    evidence: shown('brk 0x55…, as -fsanitize-trap emits it'),
  },
  {
    reason: 'trap',
    when: isBrk,
    words: 'a trap that the compiler put there: a failed CHECK, __builtin_trap(), or a breakpoint (brk)',
    evidence: (facts) => [`the instruction is brk #${immediate(facts)}`],
  },
  {
    reason: 'pointer_authentication',
    // autia to autdzb, autiasp and autibsp, retaa, retab, braa and their kin.
    when: (facts) =>
      isIllegal(facts) &&
      (matches(facts, 0xffff_d000, 0xdac1_1000) ||
        matches(facts, 0xffff_ff1f, 0xd503_231f) ||
        matches(facts, 0xfe9f_f800, 0xd61f_0800)),
    words: 'a signed pointer was changed (pointer authentication)',
    evidence: shown('one that authenticates a pointer'),
  },
  {
    reason: 'branch_target',
    // Valid everywhere, except as the target of a jump: stp x29, x30, [sp, #-n]! and sub sp, sp, #n.
    when: (facts) =>
      isIllegal(facts) &&
      facts.fault?.code === ILL_ILLOPC &&
      (matches(facts, 0xffc0_7fff, 0xa980_7bfd) || matches(facts, 0xff80_03ff, 0xd100_03ff)),
    words: 'an indirect jump to a place that is no target of jumps (branch target identification)',
    evidence: shown('a valid one, and no landing pad (bti)'),
  },
  {
    reason: 'trap',
    when: (facts) => isIllegal(facts) && matches(facts, 0xffff_0000, 0),
    words: 'a trap that the compiler put there, or data that was executed (udf)',
    evidence: (facts) => [`the instruction is udf #${word(facts)}`],
  },
  {
    reason: 'illegal_instruction',
    when: (facts) => isIllegal(facts) && facts.code.length > 0,
    words: 'an instruction that this processor does not know',
    evidence: shown('invalid'),
  },
];

/** By si_code, from 2 on. */
const FLOATING = [
  'an integer overflowed',
  'floating-point division by zero',
  'floating-point overflow',
  'floating-point underflow',
  'inexact floating-point result',
  'invalid floating-point operation',
  'subscript out of range',
];
const floating = ({ fault }: CrashFacts): string | undefined => FLOATING[(fault?.code ?? 0) - 2];

const ARITHMETIC: readonly Row[] = [
  {
    reason: 'integer_division',
    when: ({ signo, fault }) => signo === SIGFPE && fault?.code === FPE_INTDIV,
    words: ({ x86 }) =>
      x86 ? 'integer division by zero, or with a quotient that is too large' : 'integer division by zero',
    evidence: ({ x86 }) => [x86 ? 'FPE_INTDIV: x86 has one exception for both' : 'FPE_INTDIV'],
  },
  {
    reason: 'floating_point',
    when: (facts) => facts.signo === SIGFPE && facts.fault !== null && floating(facts) !== undefined,
    words: (facts) => `${floating(facts)} (the program had turned the exception on)`,
    evidence: ({ fault }) => [`the code of the signal is ${fault?.code}`],
  },
];
