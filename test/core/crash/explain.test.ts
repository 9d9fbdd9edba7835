// SPDX-License-Identifier: Apache-2.0
// Facts and frames of a crash, and the words for them. Unknown is better than a guess: each row without its evidence says less.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crashReport } from '../../../src/core/crash/crash.ts';
import { classify } from '../../../src/core/verdict/classify.ts';
import { SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP } from '../../../src/core/verdict/signals.ts';
import type { Death } from '../../../src/core/wire/event.ts';
import { ABORT, aborted, crash, faulted, frames, mapping } from '../../support/crashes.ts';
import { fault, itself, killedBy, signal } from '../../support/deadly.ts';

const reportOf = (death: Death) => crashReport(death, classify(death), 'redacted');
const explained = (death: Death) => {
  const report = reportOf(death);
  return [report?.reason ?? null, report?.words ?? null];
};

type Case = readonly [name: string, death: Death, reason: string | null, words: RegExp | string | null];
const expectWords = (death: Death, reason: string | null, words: RegExp | string | null): void => {
  const [said, text] = explained(death);
  expect([said, text]).toEqual([reason, words instanceof RegExp ? expect.stringMatching(words) : words]);
};

const [MAPERR, ACCERR] = [1, 2];
const [READ, WRITE, FETCH] = [4, 6, 20];
const far = mapping('r-xp', { start: '0x555500000000', end: '0x555500001000', path: '/usr/bin/chain' });
const at = (address: string, error_code: number) => ({ address, error_code });
const arm = { trap_nr: null, error_code: null } as const;
const stack = mapping('rw-p', { start: '0x7ffc00001000', end: '0x7ffc00800000', grows_down: true });
const guard = mapping('---p', { start: '0x7f0000000000', end: '0x7f0000001000' });
const text = mapping('r-xp', { path: '/usr/bin/chain' });
const anonymous = mapping('rw-p');

describe('SIGSEGV', () => {
  it.each<Case>([
    [
      'a null pointer',
      faulted(11, MAPERR, at('0x0', READ), { next_mapping: far }),
      'null_dereference',
      'null dereference (read of p)',
    ],
    [
      'a member',
      faulted(11, MAPERR, at('0x18', WRITE), { next_mapping: far }),
      'null_dereference',
      'null dereference (write of p + 0x18)',
    ],
    [
      'without a copy',
      faulted(11, MAPERR, at('0x18', READ), null),
      'null_dereference',
      'null dereference (read of p + 0x18)',
    ],
    [
      'a large offset, and nothing mapped',
      faulted(11, MAPERR, at('0xbeef', READ), { next_mapping: far }),
      'null_dereference',
      /p \+ 0xbeef/,
    ],
    ['a large offset, and no copy', faulted(11, MAPERR, at('0xbeef', READ), null), null, null],
    ['a negative offset', faulted(11, MAPERR, at('0xfffffffffffffff8', READ), null), 'null_dereference', /p - 0x8\)$/],
    [
      'arm64 does not say what it was',
      faulted(11, MAPERR, { address: '0x18', ...arm }, null),
      'null_dereference',
      'null dereference (p + 0x18)',
    ],
    [
      'page zero is mapped',
      faulted(11, ACCERR, at('0x18', WRITE), { mapping: mapping('r--p', { start: '0x0', end: '0x1000' }) }),
      'write_protected',
      /^write to read-only memory/,
    ],
    [
      'a call of null',
      faulted(11, MAPERR, { ...at('0x0', FETCH), instruction_pointer: '0x0' }, { next_mapping: far }),
      'null_call',
      'call of a null pointer',
    ],
    [
      'a call of null on arm64',
      faulted(11, MAPERR, { address: '0x0', instruction_pointer: '0x0', ...arm }, { next_mapping: far }),
      'null_call',
      'call of a null pointer',
    ],
    [
      'a wild jump',
      faulted(11, MAPERR, { ...at('0x4141414141', FETCH), instruction_pointer: '0x4141414141' }, { next_mapping: far }),
      'wild_jump',
      /^jump to an address where no code is/,
    ],
    [
      'a jump to the stack',
      faulted(11, ACCERR, at('0x7ffc00001800', FETCH), { mapping: stack }),
      'execute_data',
      'execution of data: the stack is not executable',
    ],
    [
      'a jump to the heap',
      faulted(11, ACCERR, at('0x7f0000000010', FETCH), { mapping: anonymous }),
      'execute_data',
      /memory without a file is not executable/,
    ],
    [
      'a wild pointer',
      faulted(11, MAPERR, at('0x4141414141', WRITE), { next_mapping: far }),
      'wild_pointer',
      'wild pointer (write of 0x4141414141)',
    ],
    [
      'an address of the kernel',
      faulted(11, MAPERR, at('0xffff888000000000', READ), null),
      'wild_pointer',
      /^wild pointer/,
    ],
    [
      'no canonical address',
      faulted(11, 128, { address: null, trap_nr: 13 }, { code: '8b07c3' }),
      'wild_pointer',
      /no memory can have/,
    ],
    ['a protection fault, and no code', faulted(11, 128, { address: null, trap_nr: 13 }, null), null, null],
    [
      'a hole below a mapping',
      faulted(11, MAPERR, at('0x7effffff0000', READ), { next_mapping: anonymous }),
      'unmapped_memory',
      /it was unmapped/,
    ],
    ['an address that is not mapped, and no copy', faulted(11, MAPERR, at('0x7effffff0000', READ), null), null, null],
    [
      'a constant',
      faulted(11, ACCERR, at('0x7f0000000010', 7), { mapping: mapping('r--p', { path: '/usr/bin/chain' }) }),
      'write_protected',
      'write to read-only memory (/usr/bin/chain)',
    ],
    [
      'a constant on arm64',
      faulted(11, ACCERR, { address: '0x7f0000000010', ...arm }, { mapping: mapping('r--p') }),
      'write_protected',
      'write to read-only memory',
    ],
    [
      'code',
      faulted(11, ACCERR, at('0x7f0000000010', 7), { mapping: text }),
      'write_protected',
      'write to code (/usr/bin/chain)',
    ],
    [
      'memory without permission',
      faulted(11, ACCERR, at('0x7f0000000010', READ), { mapping: guard }),
      'no_access',
      /PROT_NONE/,
    ],
    [
      'a writable mapping contradicts the fault',
      faulted(11, ACCERR, at('0x7f0000000010', WRITE), { mapping: anonymous }),
      null,
      null,
    ],
    ['a protection key', faulted(11, 4, at('0x7f0000000010', 36), null), 'protection_key', /protection key/],
    ['a memory tag', faulted(11, 9, { address: '0x7f0000000010', ...arm }, null), 'memory_tag', /MTE/],
    ['a shadow stack', faulted(11, 10, { address: null, trap_nr: 21 }, null), 'shadow_stack', /shadow stack/],
    ['hlt', faulted(11, 128, { address: null, trap_nr: 13 }, { code: 'f4c3' }), 'trap', /\(hlt\)/],
    [
      'rdmsr',
      faulted(11, 128, { address: null, trap_nr: 13 }, { code: '0f32' }),
      'privileged_instruction',
      /only the kernel/,
    ],
    [
      'movaps',
      faulted(11, 128, { address: null, trap_nr: 13 }, { code: '0f290424' }),
      'protection_fault',
      /not aligned, or at an address/,
    ],
    [
      'pxor of memory',
      faulted(11, 128, { address: null, trap_nr: 13 }, { code: '660fef07' }),
      'protection_fault',
      /not aligned/,
    ],
    [
      'vmovdqa',
      faulted(11, 128, { address: null, trap_nr: 13 }, { code: 'c5fd6f07' }),
      'protection_fault',
      /not aligned/,
    ],
    [
      'vmovdqu needs no alignment',
      faulted(11, 128, { address: null, trap_nr: 13 }, { code: 'c5fc1007' }),
      'wild_pointer',
      /no memory can have/,
    ],
    [
      'movzx needs no alignment',
      faulted(11, 128, { address: null, trap_nr: 13 }, { code: '0fb607' }),
      'wild_pointer',
      /no memory can have/,
    ],
    [
      "hlt in musl's free",
      faulted(
        11,
        128,
        { address: null, trap_nr: 13 },
        { code: 'f4', frames: frames('get_meta@libc', 'free@libc', 'main') },
      ),
      'heap_corruption',
      /heap corruption/,
    ],
    [
      'hlt in musl without names',
      faulted(11, 128, { address: null, trap_nr: 13 }, { code: 'f4', frames: frames('?@/lib/ld-musl-x86_64.so.1') }),
      'trap',
      /^a check of the C library failed/,
    ],
    [
      'a smashed stack with musl',
      faulted(
        11,
        128,
        { address: null, trap_nr: 13 },
        { code: 'f4', frames: frames('__stack_chk_fail@/lib/ld-musl-x86_64.so.1', 'f') },
      ),
      'stack_smashing',
      /^stack smashing/,
    ],
    [
      'a smashed stack with musl on arm64',
      faulted(
        11,
        MAPERR,
        { address: '0x0', ...arm },
        { next_mapping: far, frames: frames('__stack_chk_fail@/lib/ld-musl-aarch64.so.1', 'f') },
      ),
      'stack_smashing',
      /^stack smashing/,
    ],
    [
      'free crashes by itself',
      faulted(11, MAPERR, at('0x4141414141', READ), { next_mapping: far, frames: frames('free@libc', 'main') }),
      'wild_pointer',
      /^wild pointer/,
    ],
  ])('%s', (_, death, reason, words) => expectWords(death, reason, words));

  it('what was copied of another instruction explains nothing', () => {
    const death = faulted(SIGSEGV, MAPERR, at('0x4141414141', READ), { instruction_pointer: '0x1', next_mapping: far });
    expect(reportOf(death)).toMatchObject({ reason: null, words: null, place: null, fingerprint: null });
  });

  it('says what the evidence is', () => {
    const death = faulted(11, ACCERR, at('0x7f0000000010', 7), { mapping: text });
    expect(reportOf(death)?.evidence).toEqual(['the address is in 0x7f0000000000-0x7f0000010000 r-xp /usr/bin/chain']);
  });
});

describe('a stack overflow', () => {
  const near = (stack_pointer: string, address: string) => ({ address, stack_pointer, error_code: WRITE });
  const deep = frames(...Array.from({ length: 120 }, () => 'f'), 'main');

  it.each<Case>([
    [
      'of the first thread',
      faulted(11, MAPERR, near('0x7ffc00000ff0', '0x7ffc00000fe8'), { next_mapping: stack, frames: deep }),
      'stack_overflow',
      'stack overflow (recursion of f)',
    ],
    [
      'by a large local variable',
      faulted(11, MAPERR, near('0x7ffbff001000', '0x7ffbff001008'), { next_mapping: stack }),
      'stack_overflow',
      'stack overflow',
    ],
    [
      'of a thread with a guard',
      faulted(11, ACCERR, near('0x7f0000001000', '0x7f0000000ff8'), { mapping: guard }),
      'stack_overflow',
      'stack overflow',
    ],
    [
      'by two functions',
      faulted(11, ACCERR, near('0x7f0000001000', '0x7f0000000ff8'), {
        mapping: guard,
        frames: frames(...Array.from({ length: 60 }, (_, i) => (i % 2 === 0 ? 'ping' : 'pong')), 'main'),
      }),
      'stack_overflow',
      'stack overflow (recursion of ping, pong)',
    ],
    [
      'without a copy, next to the stack pointer',
      faulted(11, MAPERR, near('0x7ffc00000ff0', '0x7ffc00000fe8'), null),
      null,
      null,
    ],
    [
      'a guard far from the stack pointer is another one',
      faulted(11, ACCERR, near('0x7ffc00001000', '0x7f0000000ff8'), { mapping: guard }),
      'no_access',
      /PROT_NONE/,
    ],
  ])('%s', (_, death, reason, words) => expectWords(death, reason, words));

  it('has its depth as evidence', () => {
    const death = faulted(11, MAPERR, near('0x7ffc00000ff0', '0x7ffc00000fe8'), { next_mapping: stack, frames: deep });
    expect(reportOf(death)?.evidence).toEqual([
      'the address is 8 B below the stack pointer 0x7ffc00000ff0',
      'the address is 24 B below the stack of the first thread',
      '120 frames of f',
    ]);
  });
});

describe('SIGBUS', () => {
  const file = (file_bytes: number, path = '/var/lib/db') => mapping('rw-s', { path, file_bytes, offset: 8192 });
  const there = { address: '0x7f0000001010' };

  it.each<Case>([
    [
      'beyond the end',
      faulted(SIGBUS, 2, there, { mapping: file(4096) }),
      'file_truncated',
      /\(\/var\/lib\/db\): it was truncated/,
    ],
    [
      'an empty file, or a device',
      faulted(SIGBUS, 2, there, { mapping: file(0) }),
      'file_truncated',
      /it was truncated, or is a device$/,
    ],
    ['within the file', faulted(SIGBUS, 2, there, { mapping: file(1 << 20) }), 'file_unavailable', /full or failed/],
    [
      'within the last page',
      faulted(SIGBUS, 2, there, { mapping: file(12_289) }),
      'file_unavailable',
      /full or failed/,
    ],
    [
      'huge pages',
      faulted(SIGBUS, 2, there, { mapping: file(0, '/anon_hugepage') }),
      'huge_page',
      'no huge page was free',
    ],
    ['without a copy', faulted(SIGBUS, 2, there, null), null, null],
    ['alignment', faulted(SIGBUS, 1, there, null), 'misaligned', 'misaligned access'],
    ['defective memory', faulted(SIGBUS, 4, there, null), 'hardware_error', /defective/],
    ['the stack segment', faulted(SIGBUS, 128, { address: null, trap_nr: 12 }, null), 'wild_pointer', /frame pointer/],
  ])('%s', (_, death, reason, words) => expectWords(death, reason, words));

  it('says how far the file goes', () => {
    expect(reportOf(faulted(SIGBUS, 2, there, { mapping: file(4096) }))?.evidence).toEqual([
      'the address is byte 12,304 of /var/lib/db, which has 4,096 bytes',
    ]);
  });
});

describe('SIGILL, SIGTRAP, SIGFPE and SIGSYS', () => {
  const x86 = { trap_nr: 6, error_code: 0 };
  const le = (word: number) => Buffer.from(Uint32Array.of(word).buffer).toString('hex');
  const illegal = (code: string | null, facts: object = x86, si = 2) => faulted(SIGILL, si, facts, { code });
  const brk = (immediate: number) => faulted(SIGTRAP, 1, arm, { code: le(0xd4200000 | (immediate << 5)) });

  it.each<Case>([
    ['ud2', illegal('0f0b4889e5'), 'trap', /failed CHECK/],
    ['ud1 of a sanitizer', illegal('670fb94002'), 'trap', /undefined behaviour sanitizer/],
    ['AVX-512', illegal('62f17c486f00'), 'unsupported_instruction', /AVX-512/],
    ['AVX', illegal('c5fc100f'), 'unsupported_instruction', /AVX, FMA or BMI/],
    ['another one', illegal('0fffffff'), 'trap', /trap/],
    ['an invalid one', illegal('06ffffff'), 'illegal_instruction', /does not know/],
    ['no code', illegal(null), null, null],
    [
      'ud2 of a Rust panic in a panic',
      faulted(SIGILL, 2, x86, { code: '0f0b', frames: frames('core::panicking::panic_nounwind_fmt', 'f', 'main') }),
      'panic',
      'Rust panic (in a function that must not panic)',
    ],
    ['int3', faulted(SIGTRAP, 128, { address: null, trap_nr: 3 }, null), 'trap', /int3/],
    ['a single step', faulted(SIGTRAP, 2, { trap_nr: 1 }, null), 'trap', /single step/],
    ['brk of a trap', brk(1000), 'trap', /\(brk\)/],
    ['brk of a failed authentication', brk(0xc471), 'pointer_authentication', /pointer authentication/],
    ['brk of HWASan', brk(0x904), 'sanitizer', /address sanitizer/],
    ['brk of UBSan', brk(0x5516), 'trap', /undefined behaviour sanitizer/],
    ['udf', illegal(le(1), arm), 'trap', /\(udf\)/],
    ['autiasp', illegal(le(0xd50323bf), arm), 'pointer_authentication', /pointer authentication/],
    ['retaa', illegal(le(0xd65f0bff), arm), 'pointer_authentication', /pointer authentication/],
    ['autia x0, x1', illegal(le(0xdac11020), arm), 'pointer_authentication', /pointer authentication/],
    ['a prologue as the target of a jump', illegal(le(0xa9be7bfd), arm, 1), 'branch_target', /branch target/],
    ['nop is no landing pad, and no evidence', illegal(le(0xd503201f), arm, 1), 'illegal_instruction', /does not know/],
    ['integer division', faulted(SIGFPE, 1, { trap_nr: 0 }, null), 'integer_division', /by zero, or with a quotient/],
    ['integer division on arm64', faulted(SIGFPE, 1, arm, null), 'integer_division', 'integer division by zero'],
    ['floating point', faulted(SIGFPE, 3, { trap_nr: 19 }, null), 'floating_point', /^floating-point division by zero/],
    [
      'a forbidden call',
      killedBy(SIGSYS, { seccomp_mode: 3, fault: fault(SIGSYS, 1, { syscall: 101, syscall_arch: 0xc000003e }) }),
      'forbidden_call',
      'call of ptrace, which seccomp forbids',
    ],
    ['a forbidden call that is not known', killedBy(SIGSYS, { seccomp_mode: 3 }), null, null],
  ])('%s', (_, death, reason, words) => expectWords(death, reason, words));
});

describe('an abort', () => {
  const by = (...texts: string[]) => aborted({ frames: frames(...ABORT, ...texts, 'f', 'main') });
  const said = (message: string) => aborted({ frames: frames('?', '?', '?'), message });
  const jvm = '/usr/lib/jvm/libjvm.so';

  it.each<Case>([
    ['an assertion', by('?@libc', '__assert_fail@libc'), 'assertion', 'an assertion failed'],
    [
      'an assertion of a static program',
      said("a: a.c:3: main: Assertion `x > 0' failed.\n"),
      'assertion',
      "an assertion failed: a: a.c:3: main: Assertion `x > 0' failed",
    ],
    ['a double free', said('free(): double free detected in tcache 2\n'), 'heap_corruption', /^double free: free\(\)/],
    ['a corrupt heap', said('malloc(): corrupted top size\n'), 'heap_corruption', /^heap corruption/],
    [
      'a corrupt heap by its frames',
      by('malloc_printerr@libc', '_int_free@libc', 'free@libc'),
      'heap_corruption',
      /^heap corruption/,
    ],
    ['a smashed stack', by('__fortify_fail@libc', '__stack_chk_fail@libc'), 'stack_smashing', /^stack smashing/],
    [
      'fortify',
      by('__fortify_fail@libc', '__chk_fail@libc', '__strcpy_chk@libc'),
      'buffer_overflow',
      /_FORTIFY_SOURCE/,
    ],
    [
      'an exception',
      by('__gnu_cxx::__verbose_terminate_handler()@libc', 'std::terminate()@libc', '__cxa_throw@libc'),
      'uncaught_exception',
      'uncaught C++ exception',
    ],
    [
      'an exception of the library',
      by('std::terminate()@libc', '__cxa_throw@libc', 'std::__throw_out_of_range_fmt(char const*, ...)@libc'),
      'uncaught_exception',
      'uncaught C++ exception (std::out_of_range)',
    ],
    [
      'a failed new',
      by('std::terminate()@libc', '__cxa_throw@libc', 'operator new(unsigned long)@libc'),
      'uncaught_exception',
      'uncaught C++ exception (std::bad_alloc)',
    ],
    [
      'an exception, and a handler of the program',
      by('my_handler', 'std::terminate()@libc', '__cxa_throw@libc'),
      'uncaught_exception',
      'uncaught C++ exception',
    ],
    ['std::terminate', by('std::terminate()@libc', 'std::thread::~thread()'), 'uncaught_exception', /^std::terminate/],
    [
      'an abort during the unwinding',
      by('~Foo', '_Unwind_RaiseException@libc', '__cxa_throw@libc'),
      'abort_call',
      'it called abort()',
    ],
    [
      'a pure virtual call',
      by('std::terminate()@libc', '__cxa_pure_virtual@libc'),
      'pure_virtual_call',
      /pure virtual/,
    ],
    [
      'a Rust panic',
      by(
        'std::sys::pal::unix::abort_internal',
        'panic_abort::__rust_start_panic::abort',
        'rust_panic',
        'std::panicking::begin_panic_handler',
        'core::panicking::panic_bounds_check',
      ),
      'panic',
      'Rust panic (index out of bounds)',
    ],
    [
      'a Rust stack overflow',
      by('std::sys::pal::unix::abort_internal', 'std::sys::pal::unix::stack_overflow::imp::signal_handler'),
      'stack_overflow',
      /Rust runtime/,
    ],
    [
      'a Go panic',
      aborted({
        frames: frames(
          'runtime.raise.abi0',
          'runtime.dieFromSignal',
          'runtime.crash',
          'runtime.fatalpanic',
          'runtime.gopanic',
          'main.f',
        ),
      }),
      'panic',
      'Go panic',
    ],
    [
      'a Go fatal error',
      aborted({
        frames: frames(
          'runtime.raise.abi0',
          'runtime.dieFromSignal',
          'runtime.fatalthrow.func1',
          'runtime.fatalthrow',
          'runtime.throw',
          'main.f',
        ),
      }),
      'runtime_error',
      'fatal error of the Go runtime',
    ],
    [
      'a sanitizer',
      by('__sanitizer::Abort()', '__sanitizer::Die()', '__asan::ReportGenericError(unsigned long)'),
      'sanitizer',
      /sanitizer/,
    ],
    [
      'a thread of a sanitized program',
      by('g', '__asan::AsanThread::ThreadStart(unsigned long)'),
      'abort_call',
      'it called abort()',
    ],
    [
      'JavaScript',
      by(
        'node::Abort()',
        'node::OOMErrorHandler(char const*, v8::OOMDetails const&)',
        'v8::Utils::ReportOOMFailure(v8::internal::Isolate*)',
        'v8::internal::V8::FatalProcessOutOfMemory(v8::internal::Isolate*)',
      ),
      'out_of_memory',
      'JavaScript heap out of memory',
    ],
    [
      'process.abort()',
      by('node::Abort(v8::FunctionCallbackInfo<v8::Value> const&)'),
      'abort_call',
      /process\.abort\(\)/,
    ],
    [
      'HotSpot',
      by(`os::abort(bool, void*, void const*)@${jvm}`, `VMError::report_and_die(int)@${jvm}`),
      'runtime_error',
      /hs_err_pid4242\.log in its working directory/,
    ],
    ['HotSpot without names', by(`?@${jvm}`, `?@${jvm}`), 'runtime_error', /hs_err_pid4242\.log/],
    ['Python', by('fatal_error_exit', 'fatal_error', '_Py_FatalErrorFunc'), 'runtime_error', /^Python fatal error/],
    [
      'Python without the names of its static functions',
      by('?@/usr/bin/python3', '?@/usr/bin/python3', '_Py_FatalErrorFunc@/usr/bin/python3'),
      'runtime_error',
      /^Python fatal error/,
    ],
    [
      'an exception, and a library without static names',
      by('?@/l/libstdc++.so.6', 'std::terminate()@/l/libstdc++.so.6', '__cxa_throw@/l/libstdc++.so.6'),
      'uncaught_exception',
      'uncaught C++ exception',
    ],
    [
      'a stripped thread of a sanitized program',
      by('?', '__asan::AsanThread::ThreadStart(unsigned long)@/l/libasan.so'),
      'abort_call',
      'it called abort()',
    ],
    ['os.abort()', by('os_abort'), 'abort_call', /os\.abort\(\)/],
    ['glog', by('google::LogMessage::Fail()', 'google::LogMessage::SendToLog()'), 'failed_check', /LOG\(FATAL\)/],
    ['GLib', by('g_log', 'g_assertion_message_expr'), 'failed_check', /GLib/],
    [
      'another message of glibc',
      said('The futex facility returned an unexpected error code.\n'),
      'runtime_error',
      /^fatal error of the C library: The futex/,
    ],
    ['abort() and no more', by(), 'abort_call', 'it called abort()'],
    [
      'names that are guesses',
      aborted({ frames: frames('!raise@libc', '!abort@libc', '!__assert_fail@libc') }),
      null,
      null,
    ],
    [
      'a function of the program with such a name',
      aborted({ frames: frames('raise@libc', 'abort@libc', 'f', '__assert_fail', 'main') }),
      'abort_call',
      'it called abort()',
    ],
    ['no copy', aborted(null), null, null],
  ])('%s', (_, death, reason, words) => expectWords(death, reason, words));

  // Stacks of real programs, as they were unwound (Debian 12, Go 1.26, Rust 1.95, Node.js 24, OpenJDK 17 and 25).
  const cpp = '/usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.30';
  const terminated = [...ABORT, `?@${cpp}`, `?@${cpp}`, `std::terminate()@${cpp}`];
  const panicked = [
    ...ABORT,
    'std::sys::pal::unix::abort_internal',
    'std::process::abort',
    '__rustc::__rust_abort',
    '__rustc::__rust_start_panic',
    '__rustc::rust_panic',
    'std::panicking::panic_with_hook',
    'std::panicking::panic_handler::{{closure}}',
    'std::sys::backtrace::__rust_end_short_backtrace',
    '__rustc::rust_begin_unwind',
    'core::panicking::panic_fmt',
  ];
  const go = (...texts: string[]) => [
    'runtime.raise',
    'runtime.dieFromSignal',
    'runtime.sigfwdgo',
    'runtime.sigtrampgo',
    'runtime.sigtramp',
    '<signal handler called>',
    'runtime.raise',
    'runtime.dieFromSignal',
    ...texts,
  ];
  const thrown = go('runtime.fatalthrow.func1', 'runtime.systemstack', 'runtime.fatalthrow', 'runtime.throw');

  it.each<readonly [name: string, stack: readonly string[], words: string, place: string | null]>([
    [
      'C++: throw',
      [...terminated, `__cxa_throw@${cpp}`, 'work(char const*)', 'main'],
      'uncaught C++ exception',
      'work(char const*)',
    ],
    [
      'C++: vector::at',
      [...terminated, `__cxa_throw@${cpp}`, `?@${cpp}`, 'work(char const*)', 'main'],
      'uncaught C++ exception',
      'work(char const*)',
    ],
    [
      'C++: noexcept',
      [
        ...ABORT,
        `?@${cpp}`,
        `?@${cpp}`,
        `?@${cpp}`,
        `__gxx_personality_v0@${cpp}`,
        '?@/l/libgcc_s.so.1',
        '_Unwind_RaiseException@/l/libgcc_s.so.1',
        `__cxa_throw@${cpp}`,
        'work(char const*)',
      ],
      'a C++ exception reached a function that may let none pass (noexcept)',
      'work(char const*)',
    ],
    [
      'C++: a handler',
      [...ABORT, 'on_terminate()', `?@${cpp}`, `std::terminate()@${cpp}`, `__cxa_throw@${cpp}`, 'work(char const*)'],
      'uncaught C++ exception',
      'work(char const*)',
    ],
    [
      'C: free',
      [...ABORT, '?@libc', '?@libc', '?@libc', 'free@libc', 'work', 'main'],
      'heap corruption, which the allocator found',
      'work',
    ],
    [
      'C: strcpy',
      [...ABORT, '?@libc', '__fortify_fail@libc', '__chk_fail@libc', '__strcpy_chk@libc', 'work', 'main'],
      'a call of the C library would have overflowed its buffer (_FORTIFY_SOURCE)',
      'work',
    ],
    [
      'Rust: index',
      [...panicked, 'core::panicking::panic_bounds_check', 'p::main'],
      'Rust panic (index out of bounds)',
      'p::main',
    ],
    [
      'Rust: unwrap',
      [...panicked, 'core::panicking::panic', 'core::option::unwrap_failed', 'p::main'],
      'Rust panic (unwrap or expect of None)',
      'p::main',
    ],
    [
      'Rust: index, built without optimization',
      [
        ...panicked,
        'core::panicking::panic_bounds_check',
        '<usize as core::slice::index::SliceIndex<[T]>>::index',
        'core::slice::index::<impl core::ops::index::Index<I> for [T]>::index',
        '<alloc::vec::Vec<T,A> as core::ops::index::Index<I>>::index',
        'p::main',
      ],
      'Rust panic (index out of bounds)',
      'p::main',
    ],
    [
      'Rust: expect, built without optimization',
      [...panicked, 'core::result::unwrap_failed', 'core::result::Result<T,E>::expect', 'p::main'],
      'Rust panic (unwrap or expect of an error)',
      'p::main',
    ],
    [
      'Rust: an Index of the program',
      [
        ...panicked,
        'core::panicking::panic_bounds_check',
        '<p::Grid as core::ops::index::Index<usize>>::index',
        'p::main',
      ],
      'Rust panic (index out of bounds)',
      '<p::Grid as core::ops::index::Index<usize>>::index',
    ],
    [
      'Rust: an allocation, built without optimization',
      [
        ...ABORT,
        'std::sys::pal::unix::abort_internal',
        'std::process::abort',
        'std::alloc::rust_oom::{closure#0}',
        'std::sys::backtrace::__rust_end_short_backtrace::<std::alloc::rust_oom::{closure#0}, !>',
        'std::alloc::rust_oom',
        '__rustc::__rust_alloc_error_handler',
        'alloc::alloc::handle_alloc_error',
        'alloc::raw_vec::handle_error',
        'alloc::raw_vec::RawVecInner<A>::with_capacity_in',
        'alloc::vec::Vec<T>::with_capacity',
        'p::main',
      ],
      'an allocation failed (Rust)',
      'p::main',
    ],
    [
      'Rust: a full stack',
      [
        ...ABORT,
        'std::sys::pal::unix::abort_internal',
        'std::process::abort',
        'std::sys::pal::unix::stack_overflow::imp::signal_handler',
        '<signal handler called>@libc',
        'p::main::g',
      ],
      'stack overflow, which the Rust runtime found',
      'p::main::g',
    ],
    [
      'Go: nil',
      go('runtime.fatalpanic', 'runtime.gopanic', 'runtime.sigpanic', 'main.f', 'main.main'),
      'Go panic (after a fault: nil dereference or a bad address)',
      'main.f',
    ],
    ['Go: panic', go('runtime.fatalpanic', 'runtime.gopanic', 'main.main'), 'Go panic', 'main.main'],
    [
      'Go: a bad address',
      [...thrown, 'runtime.sigpanic', 'main.main'],
      'fatal error of the Go runtime (after a fault: nil dereference or a bad address)',
      'main.main',
    ],
    [
      'Go: a full stack',
      [...thrown, 'runtime.newstack', 'runtime.morestack'],
      'the stack of a goroutine reached its limit',
      null,
    ],
    [
      'Go: deadlock',
      go('runtime.fatalthrow', 'runtime.fatal', 'runtime.checkdead', 'runtime.mput'),
      'deadlock: the Go runtime found that no goroutine could go on',
      'runtime.mput',
    ],
    [
      'Node.js: a full heap',
      [
        ...ABORT,
        'node::(anonymous namespace)::DefaultAbortHandler(char const*, char const*)',
        'node::OOMErrorHandler(char const*, v8::OOMDetails const&)',
        'v8::Utils::ReportOOMFailure(v8::internal::Isolate*, char const*, v8::OOMDetails const&)',
        'v8::internal::V8::FatalProcessOutOfMemory(v8::internal::Isolate*, char const*, v8::OOMDetails const&)',
        'v8::internal::Heap::FatalProcessOutOfMemory(char const*)',
        'v8::internal::Heap::CollectGarbage()',
      ],
      'JavaScript heap out of memory',
      'v8::internal::Heap::CollectGarbage()',
    ],
    [
      'Node.js: process.abort()',
      [
        ...ABORT,
        'node::(anonymous namespace)::DefaultAbortHandler(char const*, char const*)',
        'node::Abort(v8::FunctionCallbackInfo<v8::Value> const&)',
        'Builtins_CallApiCallbackGeneric',
      ],
      'the program called process.abort() (Node.js)',
      'Builtins_CallApiCallbackGeneric',
    ],
    [
      'Java: no heap left',
      [
        ...ABORT,
        `os::abort(bool, void*, void const*)@${jvm}`,
        `VMError::report_and_die(int, char const*, char const*, __va_list_tag*)@${jvm}`,
        `report_fatal(VMErrorType, char const*, int, char const*, ...)@${jvm}`,
        `report_java_out_of_memory(char const*)@${jvm}`,
        `MemAllocator::Allocation::check_out_of_memory()@${jvm}`,
      ],
      'Java heap out of memory (-XX:+CrashOnOutOfMemoryError): see hs_err_pid4242.log in its working directory',
      'MemAllocator::Allocation::check_out_of_memory()',
    ],
    [
      'Java: Unsafe',
      [
        ...ABORT,
        `os::abort(bool, void const*, void const*)@${jvm}`,
        `VMError::report_and_die(int, char const*, ...)@${jvm}`,
        `JVM_handle_linux_signal@${jvm}`,
        '<signal handler called>@libc',
        `Unsafe_PutLong@${jvm}`,
      ],
      "fatal error of Java's virtual machine: see hs_err_pid4242.log in its working directory",
      'Unsafe_PutLong',
    ],
    [
      'Python: Py_FatalError',
      [...ABORT, 'fatal_error@/l/libpython3.9.so.1.0', 'Py_FatalError@/l/libpython3.9.so.1.0', '?@/l/libffi.so.8'],
      'Python fatal error, which the interpreter printed',
      'libffi.so.8',
    ],
    [
      'address sanitizer',
      [
        ...ABORT,
        '__sanitizer::Abort()@/l/libasan.so.8',
        '__sanitizer::Die()@/l/libasan.so.8',
        '__asan::ScopedInErrorReport::~ScopedInErrorReport()@/l/libasan.so.8',
        '__asan_report_store1@/l/libasan.so.8',
        'work(char**)',
      ],
      'a sanitizer found an error, and printed it',
      'work(char**)',
    ],
  ])('%s', (_, stack, words, place) => {
    const report = reportOf(aborted({ frames: frames(...stack) }));
    expect([report?.words, report?.place?.replace(/\+0x.*/, '') ?? null]).toEqual([words, place]);
    expect(report?.fingerprint === null).toBe(place === null);
  });

  it('after a fault that a handler took: the place is that of the fault', () => {
    const handled = fault(SIGSEGV, MAPERR, { address: '0x18', instruction_pointer: '0x5' });
    const passed = frames(...ABORT, 'on_crash', '<signal handler called>', 'broken', 'main');
    const death = aborted({
      frames: passed.map((one, at) => (at === 5 ? { ...one, pc: '0x5', found_by: 'signal frame' } : one)),
    });
    expect(reportOf({ ...death, handled_fault: handled })?.place).toBe('broken+0x1f (chain)');
    expect(reportOf({ ...death, handled_fault: { ...handled, instruction_pointer: '0x6' } })?.place).toBe(
      'on_crash+0x1f (chain)',
    );
  });

  it('of a handler that crashed itself: the place is in the handler', () => {
    const handled = fault(SIGSEGV, MAPERR, { address: '0x18', instruction_pointer: '0x5' });
    const death = faulted(SIGSEGV, MAPERR, at('0x0', WRITE), {
      frames: frames('reports', 'on_crash', '<signal handler called>', 'broken', 'main').map((one, index) =>
        index === 3 ? { ...one, pc: '0x5', found_by: 'signal frame' } : one,
      ),
    });
    const report = reportOf({ ...death, handled_fault: { ...handled, tid: death.crash?.tid ?? 0 } });
    expect([report?.words, report?.place]).toEqual(['null dereference (write of p)', 'reports+0x1f (chain)']);
  });

  it('of a handler that aborts: the reason is that of the fault', () => {
    const handled = fault(SIGSEGV, MAPERR, { address: '0x18', instruction_pointer: '0x5', error_code: READ });
    const passed = frames(...ABORT, 'on_crash', '<signal handler called>', 'broken', 'main');
    const death = aborted({
      frames: passed.map((one, index) => (index === 5 ? { ...one, pc: '0x5', found_by: 'signal frame' } : one)),
    });
    expect(reportOf({ ...death, handled_fault: handled })).toMatchObject({
      reason: 'null_dereference',
      words: 'null dereference (read of p + 0x18), whose handler aborted',
      place: 'broken+0x1f (chain)',
    });
  });

  it.each([
    ['at once', 'broken', 2n, 'null dereference (read of p + 0x18), 2 ms before, which a handler took'],
    ['later', 'broken', 1900n, null],
  ])('of a handler that exits %s', (_, name, beforeMs, words) => {
    const death = killedBy(0, { status_raw: 2 << 8 });
    const handled = fault(SIGSEGV, MAPERR, {
      address: '0x18',
      error_code: READ,
      time_ns: death.time_ns - beforeMs * 1_000_000n,
    });
    const place = { instruction_pointer: handled.instruction_pointer, tid: handled.tid, address: '0x18' };
    const report = reportOf({ ...death, handled_fault: handled, crash: crash({ ...place, frames: frames(name) }) });
    expect(report?.words).toBe(words);
    expect(report?.evidence.at(-1)).toMatch(
      /^the stack is that of the fault, which a handler took [\d.]+ m?s before the exit$/,
    );
  });

  it('an exit after a fault of just-in-time code has no report', () => {
    const handled = fault(SIGSEGV, MAPERR, { address: '0x18' });
    const place = { instruction_pointer: handled.instruction_pointer, tid: handled.tid };
    const death = killedBy(0, {
      status_raw: 1 << 8,
      handled_fault: handled,
      crash: crash({ ...place, frames: frames('') }),
    });
    expect(reportOf(death)).toBeNull();
  });

  it('of a fault that the handler raised again: the place is that of the fault', () => {
    const handled = fault(SIGSEGV, MAPERR, { address: '0x18', instruction_pointer: '0x5' });
    const copy = crash({ frames: frames('raise@libc', 'on_crash'), handled_frames: frames('broken', 'main') });
    const death = killedBy(SIGSEGV, { handled_fault: handled, crash: copy });
    const verdict = { ...classify(death), cause: 'fault', fault: handled } as const;
    expect(crashReport(death, verdict, 'redacted')).toMatchObject({
      place: 'broken+0x1f (chain)',
      reason: 'null_dereference',
    });
  });
});

it.each(['no_slot', 'busy', 'lost', 'failed', 'timeout'] as const)('without a stack (%s) says why', (state) => {
  const report = reportOf(faulted(SIGSEGV, MAPERR, at('0x4141414141', READ), { state, frames: [], end: 'because' }));
  expect(report).toMatchObject({ stack: state, stacktrace: null, frames: null, fingerprint: null, place: null });
  expect(report?.evidence.at(-1)).toMatch(/^its stack (?:was|is|could)/);
});

it('a termination without a crash has no report', () => {
  expect(reportOf(killedBy(9, { crash: crash() }))).toBeNull();
});

it.each([
  ['SIGABRT from a watchdog', { signal: signal(6) }],
  [
    'SIGSEGV from another process, whose handler aborts',
    { signal: signal(6, { code: -6, sender: itself() }), request: signal(11, { action: 'handled', committed: false }) },
  ],
])('%s: the stack is what the process did, and explains nothing', (_, sent) => {
  const death = killedBy(6, { ...sent, crash: crash({ signo: 6, frames: frames('epoll_wait@libc', 'loop') }) });
  expect(reportOf(death)).toMatchObject({
    reason: null,
    words: null,
    place: null,
    fingerprint: null,
    stacktrace: '#0 epoll_wait+0x1f (libc.so.6)\n#1 loop+0x1f (chain)',
    evidence: ['the stack is what the thread that took the signal did'],
  });
});

describe('any fault', () => {
  const address = fc.oneof(
    fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    fc.constantFrom(0n, 8n, 0xfffn, 0x1000n, 0xffffn, 0x7ffc_0000_0ff8n, 0x7f00_0000_0010n, (1n << 64n) - 8n),
  );
  const hex = address.map((number) => `0x${number.toString(16)}`);
  const mappings = fc
    .option(
      fc.record({
        access: fc.constantFrom('---p', 'r--p', 'rw-p', 'r-xp', 'rwxp', 'rw-s'),
        path: fc.constantFrom(null, '/f'),
        grows_down: fc.boolean(),
        file_bytes: fc.nat(),
      }),
      { nil: null },
    )
    .map((changes) => (changes === null ? null : mapping(changes.access, changes)));
  const facts = fc.record({
    signo: fc.constantFrom(SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP),
    si: fc.constantFrom(1, 2, 3, 4, 8, 10, 128),
    fault: fc.record({
      address: fc.option(hex, { nil: null }),
      instruction_pointer: fc.option(hex, { nil: null }),
      stack_pointer: fc.option(hex, { nil: null }),
      trap_nr: fc.constantFrom(null, 0, 3, 6, 12, 13, 14),
      error_code: fc.constantFrom(null, 4, 6, 7, 20, 21),
    }),
    copy: fc.record({
      mapping: mappings,
      next_mapping: mappings,
      code: fc.option(
        fc.uint8Array({ maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('hex')),
        { nil: null },
      ),
    }),
  });

  it('is explained with evidence, or not at all', () => {
    fc.assert(
      fc.property(facts, ({ signo, si, fault: its, copy }) => {
        const report = reportOf(faulted(signo, si, its, { ...copy, frames: [] }));
        expect(report?.words === null).toBe(report?.reason === null);
        if (report?.reason != null) expect(report.evidence.filter((line) => line !== '')).not.toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });

  it('is explained by less, not otherwise, without a copy', () => {
    fc.assert(
      fc.property(facts, ({ signo, si, fault: its }) => {
        const without = reportOf(faulted(signo, si, its, null));
        const beside = reportOf(
          faulted(signo, si, its, { instruction_pointer: '0xdead', address: '0xdead', frames: [] }),
        );
        if (its.instruction_pointer !== '0xdead') expect(beside?.reason ?? null).toBe(without?.reason ?? null);
      }),
    );
  });
});
