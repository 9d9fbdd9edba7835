// SPDX-License-Identifier: Apache-2.0
// Faults and aborts of C that differ by the address, the mapping, the instruction, the message or the handler (test/crashes/programs/faults.c).
import { built, type Case } from '../case.ts';

/** Which of the two functions reaches the end of the stack depends on where it begins. */
const OVERFLOW = /^stack overflow \(recursion of (?:ping, pong|pong, ping)\)$/;
const NULL_WRITE = 'null dereference (write of p)';

type Rest = Omit<Case, 'name' | 'command' | 'ends' | 'functions' | 'says' | 'place'>;

/** A way of faults.c. `functions`: those between the crash and outer(). The first one is the place. */
const fault = (
  way: string,
  ends: Case['ends'],
  functions: readonly string[],
  says: Case['says'],
  rest: Rest & { readonly place?: string | null } = {},
): Case => ({
  name: `fault: ${way}`,
  command: [built('faults'), way],
  ends,
  functions: rest.incomplete ? functions : [...functions, 'outer', 'main'],
  says,
  place: functions[0] ?? null,
  ...rest,
});

const ADDRESSES: readonly Case[] = [
  fault('null member', 'SIGSEGV', ['last_name', 'walks'], 'null dereference (read of p)'),
  fault('constant', 'SIGSEGV', ['writes', 'writes_constant'], /^write to read-only memory \(.*\/faults\)$/),
  fault('code', 'SIGSEGV', ['writes', 'writes_code'], /^write to code \(.*\/faults\)$/),
  fault('wild', 'SIGSEGV', ['reads', 'reads_wild'], 'wild pointer (read of 0x414141414142)'),
  fault('text as pointer', 'SIGSEGV', ['reads', 'reads_text'], 'wild pointer: an address that no memory can have'),
  fault(
    'unmapped',
    'SIGSEGV',
    ['reads', 'reads_unmapped'],
    'read of memory that is not mapped: it was unmapped (munmap, free of a large block), or is past the end of a mapping',
  ),
  fault(
    'truncated file',
    'SIGBUS',
    ['reads', 'reads_beyond_file'],
    /^access beyond the end of a mapped file \(.*\/truncated-\w+, deleted\): it was truncated, or is shorter than its mapping$/,
  ),
];

const INSTRUCTIONS: readonly Case[] = [
  fault('privileged', 'SIGSEGV', ['runs_privileged'], 'an instruction that only the kernel may execute'),
  fault('unknown instruction', 'SIGILL', ['runs_unknown'], 'an instruction that this processor does not know'),
  fault(
    'breakpoint',
    'SIGTRAP',
    ['breaks'],
    'a breakpoint instruction (int3): a trap of the program, or one that a debugger left',
  ),
  fault(
    'misaligned',
    'SIGSEGV',
    ['misaligned'],
    'an operand was not aligned, or at an address that no memory can have',
  ),
  fault('forbidden call', 'SIGSYS', ['forbidden_call', 'calls_forbidden'], 'it called acct'),
];

const ABORTS: readonly Case[] = [
  fault(
    'fortify',
    'SIGABRT',
    ['abort', '__fortify_fail', '__chk_fail', 'overflows_buffer'],
    'a call of the C library would have overflowed its buffer (_FORTIFY_SOURCE): *** buffer overflow detected ***: terminated',
    { place: 'overflows_buffer' },
  ),
  fault(
    'canary',
    'SIGABRT',
    ['abort', '__stack_chk_fail', 'smashes_canary'],
    'stack smashing: a function wrote beyond a variable on the stack, over its canary: *** stack smashing detected ***: terminated',
    { place: 'smashes_canary' },
  ),
  fault(
    'heap',
    'SIGABRT',
    ['abort', 'malloc', 'corrupts_heap'],
    'heap corruption, which the allocator found: malloc(): corrupted top size',
    { place: 'corrupts_heap' },
  ),
  fault(
    'invalid free',
    'SIGABRT',
    ['abort', 'free', 'frees_other'],
    'heap corruption, which the allocator found: free(): invalid pointer',
    { place: 'frees_other' },
  ),
];

const RECURSIONS: readonly Case[] = [
  fault('two functions', 'SIGSEGV', ['ping'], OVERFLOW, { also: ['pong'], place: null, incomplete: true }),
  fault('thread overflow', 'SIGSEGV', ['ping'], OVERFLOW, { also: ['pong'], place: null, incomplete: true }),
  fault('many frames', 'SIGSEGV', ['writes', 'bounded'], NULL_WRITE),
];

const HANDLERS: readonly Case[] = [
  fault(
    'handler aborts',
    'SIGABRT',
    ['abort', 'aborts_again', '<signal handler called>', 'writes', 'reported'],
    `${NULL_WRITE}, whose handler aborted`,
    { place: 'writes' },
  ),
  fault('handler raises', 'SIGSEGV', ['writes', 'reported'], NULL_WRITE),
  fault(
    'handler exits',
    11,
    ['writes', 'reported'],
    /^null dereference \(write of p\), [\d.]+ [mµ]s before, which a handler took$/,
    { onlyAtExit: true },
  ),
  fault('handler returns', 'SIGSEGV', ['writes', 'reported'], NULL_WRITE),
  fault(
    'handled overflow',
    'SIGABRT',
    ['abort', 'aborts_again', '<signal handler called>', 'ping'],
    /^stack overflow \(recursion of p[io]ng, p[io]ng\), whose handler aborted$/,
    { also: ['pong'], place: null, incomplete: true },
  ),
  fault(
    'nested signals',
    'SIGSEGV',
    ['writes', 'next_signal', '<signal handler called>', 'raise', 'nests'],
    NULL_WRITE,
  ),
];

const PROCESSES: readonly Case[] = [
  fault('string function', 'SIGSEGV', ['measures'], 'null dereference (read of p + 0xa)', { place: null }),
  fault('tail call', 'SIGSEGV', ['writes', 'calls_one_that_jumps'], NULL_WRITE),
  fault('vfork', 'SIGSEGV', ['writes', 'in_child'], NULL_WRITE, { child: 'SIGSEGV' }),
  fault('library', 'SIGSEGV', ['compare', 'qsort_r', 'sorts', 'library_entry', 'in_library'], NULL_WRITE),
  fault('unlinked', 'SIGSEGV', ['last_name', 'walks', 'unlinks_itself'], 'null dereference (read of p)', {
    copied: true,
  }),
  fault('replaced', 'SIGSEGV', ['last_name', 'walks', 'replaces_itself'], 'null dereference (read of p)', {
    copied: true,
  }),
];

export const FAULTS: readonly Case[] = [
  ...ADDRESSES,
  ...INSTRUCTIONS,
  ...ABORTS,
  ...RECURSIONS,
  ...HANDLERS,
  ...PROCESSES,
];
