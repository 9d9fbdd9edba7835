// SPDX-License-Identifier: Apache-2.0
// C: compilers, options and libraries (loader/internal/unwind/testdata/crashes.c). Most programs are stripped.
import { built, type Case } from '../case.ts';

const CHAIN = ['leaf', 'four', 'three', 'two', 'one', 'outer', 'main'];
const NULL_WRITE = 'null dereference (write of p)';

const chain = (program: string, what: string, more: Partial<Case> = {}): Case => ({
  name: `C ${what}`,
  command: [built(program), 'chain'],
  ends: 'SIGSEGV',
  functions: CHAIN,
  says: NULL_WRITE,
  place: 'leaf',
  ...more,
});

/** A way of crashes.c. */
const way = (way: string, program: string, rest: Omit<Case, 'name' | 'command'>): Case => ({
  name: `C ${way}, ${program}`,
  command: [built(program), way],
  ...rest,
});

const BUILDS: readonly Case[] = [
  chain('c', 'without frame pointers, stripped'),
  chain('c-static', 'static, stripped'),
  chain('c-static-pie', 'static and position-independent, stripped'),
  chain('c-unoptimized', 'unoptimized, stripped'),
  chain('c-fixed', '-O3 at a fixed address, stripped'),
  chain('c-clang', 'by clang, stripped'),
  chain('c-debugdata', 'with names in .gnu_debugdata'),
  chain('c-without-tables', 'without tables and frame pointers'),
  chain('c-frame-pointers', 'without tables, with frame pointers', { guesses: true }),
  chain('musl', 'with musl', { guesses: true }),
  chain('musl-static', 'with musl, static', { guesses: true }),
];

const JUMPS: readonly Case[] = ['c', 'c-static', 'c-clang'].flatMap((program) => [
  way('null call', program, {
    ends: 'SIGSEGV',
    functions: ['jump_to', 'outer', 'main'],
    says: 'call of a null pointer',
    place: 'jump_to',
  }),
  way('wild call', program, {
    ends: 'SIGSEGV',
    functions: ['jump_to', 'outer', 'main'],
    says: 'jump to an address where no code is: a wild function pointer, an overwritten return address, or an unloaded library',
    place: 'jump_to',
  }),
  way('data', program, {
    ends: 'SIGSEGV',
    functions: ['jump_to', 'executes_data', 'outer', 'main'],
    says: /^execution of data: (?:memory without a file|\S+\/c-clang) is not executable$/,
    place: 'jump_to',
  }),
]);

const STACKS: readonly Case[] = ['c', 'c-static'].flatMap((program) => [
  way('recursion', program, {
    ends: 'SIGSEGV',
    functions: ['recurse'],
    says: /^stack overflow \(recursion of .+\)$/,
    place: 'recurse',
    incomplete: true,
  }),
  way('alternate stack', program, {
    ends: 'SIGSEGV',
    functions: ['in_handler', 'handler', '<signal handler called>', 'interrupted', 'outer', 'main'],
    says: NULL_WRITE,
    place: 'in_handler',
  }),
  way('fault in handler', program, {
    ends: 'SIGSEGV',
    functions: ['in_handler', 'handler', '<signal handler called>', 'faulting', 'outer', 'main'],
    says: NULL_WRITE,
    place: 'in_handler',
  }),
  way('thread', program, {
    ends: 'SIGSEGV',
    functions: ['leaf', 'four', 'three', 'two', 'one', 'thread'],
    says: NULL_WRITE,
    place: 'leaf',
  }),
]);

const OTHERS: readonly Case[] = [
  way('handler', 'c', {
    ends: 'SIGSEGV',
    functions: ['in_handler', 'handler', '<signal handler called>', 'interrupted', 'outer', 'main'],
    says: NULL_WRITE,
    place: 'in_handler',
  }),
  way('large', 'c', {
    ends: 'SIGSEGV',
    functions: ['leaf', 'large'],
    says: NULL_WRITE,
    place: 'leaf',
    incomplete: true,
  }),
  way('smash', 'c', {
    ends: 'SIGSEGV',
    functions: ['smashes'],
    says: 'wild pointer: an address that no memory can have',
    place: 'smashes',
    guesses: true,
  }),
  way('made code', 'c', {
    ends: 'SIGSEGV',
    functions: ['in_handler', 'compiles', 'outer', 'main'],
    says: NULL_WRITE,
    place: 'in_handler',
    guesses: true,
  }),
  way('vdso', 'c', {
    ends: 'SIGSEGV',
    functions: ['clock_gettime', 'asks_time', 'outer', 'main'],
    says: 'null dereference (write of p + 0x8)',
    place: 'clock_gettime',
  }),
  way('qsort', 'c', {
    ends: 'SIGSEGV',
    functions: ['compare', 'sorts', 'outer', 'main'],
    says: NULL_WRITE,
    place: 'compare',
  }),
  way('division', 'c', {
    ends: 'SIGFPE',
    functions: ['divides', 'outer', 'main'],
    says: 'integer division by zero, or with a quotient that is too large',
    place: 'divides',
  }),
  way('trap', 'c', {
    ends: 'SIGILL',
    functions: ['traps', 'outer', 'main'],
    says: 'a trap that the compiler put there: a failed CHECK, __builtin_trap(), or code that was said to be unreachable (ud2)',
    place: 'traps',
  }),
  way('assert', 'c', {
    ends: 'SIGABRT',
    functions: ['abort', '__assert_fail', 'asserts', 'outer', 'main'],
    says: /^an assertion failed: c: .*crashes\.c:\d+: asserts: Assertion `n == 12345 && "the answer"' failed$/,
    place: 'asserts',
  }),
  way('double free', 'c', {
    ends: 'SIGABRT',
    functions: ['abort', 'free', 'frees_twice', 'outer', 'main'],
    says: 'double free: free(): double free detected in tcache 2',
    place: 'frees_twice',
  }),
  way('abort', 'c', {
    ends: 'SIGABRT',
    functions: ['abort', 'aborts', 'outer', 'main'],
    says: 'it called abort()',
    place: 'aborts',
  }),
];

/** The C library has no tables. */
const MUSL: readonly Case[] = ['musl', 'musl-static'].flatMap((program) => [
  way('assert', program, {
    ends: 'SIGABRT',
    functions: ['raise', 'abort', '__assert_fail', 'asserts', 'outer', 'main'],
    says: 'an assertion failed',
    place: 'asserts',
    guesses: true,
  }),
  way('abort', program, {
    ends: 'SIGABRT',
    functions: ['raise', 'abort', 'aborts', 'outer', 'main'],
    says: 'it called abort()',
    place: 'aborts',
    guesses: true,
  }),
  way('handler', program, {
    ends: 'SIGSEGV',
    functions: ['in_handler', 'handler', '<signal handler called>', 'raise', 'interrupted', 'outer', 'main'],
    says: NULL_WRITE,
    place: 'in_handler',
    guesses: true,
  }),
]);

const ASSEMBLY: Case = {
  name: 'assembly without tables',
  command: [built('assembly')],
  ends: 'SIGSEGV',
  functions: ['written_by_hand', 'calls_by_hand', 'caller', 'main'],
  says: NULL_WRITE,
  place: 'written_by_hand',
};

export const C: readonly Case[] = [
  ...BUILDS,
  ...JUMPS,
  ...STACKS,
  ...OTHERS,
  ...MUSL,
  ...(process.arch === 'x64' ? [ASSEMBLY] : []),
];
