// SPDX-License-Identifier: Apache-2.0
// Explains aborts, and traps of language runtimes: by the functions between the program and abort(3), and by the message that the C library
// kept. Guessed frames are no evidence. A name counts only in front of the program's own functions.
import type { CrashReasonValue } from '../telemetry/semconv.ts';
import type { Frame } from '../wire/crash.ts';
import type { Explanation } from './explanation.ts';
import type { CrashFacts } from './facts.ts';
import { fileName, frameName, reportingFrames } from './frames.ts';

/** Innermost frames in which the reason of an abort is looked for. */
const FRAMES_MAX = 32;

interface AbortRow {
  readonly reason: CrashReasonValue;
  readonly words: string | ((facts: CrashFacts) => string);
  /** Full names of functions. */
  readonly functions?: RegExp;
  readonly message?: RegExp;
  /** The file whose function called abort(3). For libraries without names. */
  readonly caller?: RegExp;
}

/** From the most specific to the least. */
const ABORTS: readonly AbortRow[] = [
  {
    reason: 'out_of_memory',
    words: 'JavaScript heap out of memory',
    functions: /^(?:v8::.*FatalProcessOutOfMemory|v8::Utils::ReportOOMFailure|node::OOMErrorHandler)\b/,
  },
  {
    reason: 'out_of_memory',
    words: ({ vpid }) =>
      `Java's virtual machine could not get memory: see hs_err_pid${vpid}.log in its working directory`,
    functions: /^report_vm_out_of_memory\b/,
  },
  {
    reason: 'out_of_memory',
    words: ({ vpid }) =>
      `Java heap out of memory (-XX:+CrashOnOutOfMemoryError): see hs_err_pid${vpid}.log in its working directory`,
    functions: /^report_java_out_of_memory\b/,
  },
  {
    reason: 'runtime_error',
    words: ({ vpid }) => `fatal error of Java's virtual machine: see hs_err_pid${vpid}.log in its working directory`,
    functions: /^(?:VMError::report_and_die|os::abort|JVM_handle_linux_signal|report_(?:vm_error|fatal))\b/,
    caller: /^libjvm\.so$/,
  },
  {
    reason: 'sanitizer',
    words: 'a sanitizer found an error, and printed it',
    functions: /^__(?:asan|hwasan|msan|tsan|ubsan|lsan|sanitizer)(?:::|_)/,
  },
  {
    reason: 'stack_smashing',
    words: 'stack smashing: a function wrote beyond a variable on the stack, over its canary',
    functions: /^__(?:GI___)?stack_chk_fail(?:_local)?$/,
    message: /^\*\*\* stack smashing detected \*\*\*/,
  },
  {
    reason: 'buffer_overflow',
    words: 'a call of the C library would have overflowed its buffer (_FORTIFY_SOURCE)',
    functions: /^__(?:GI___)?(?:chk_fail|fdelt_chk|fdelt_warn|\w+_chk_fail)$/,
    message:
      /^\*\*\* (?:buffer overflow detected|%n in writable|invalid %N\$ use|longjmp causes uninitialized|bit out of range)/,
  },
  {
    reason: 'assertion',
    words: 'an assertion failed',
    functions: /^__(?:GI___)?assert(?:_fail|_fail_base|_perror_fail)?$/,
    message: /^.*: (?:Assertion `.*' failed|Unexpected error: )/s,
  },
  {
    reason: 'heap_corruption',
    words: 'double free',
    message: /^(?:free\(\): double free detected|double free or corruption)/,
  },
  {
    reason: 'heap_corruption',
    words: 'heap corruption, which the allocator found',
    functions:
      /^(?:malloc_printerr|(?:__libc_|__GI___libc_)?(?:free|realloc|malloc|calloc)|cfree|get_meta|nontrivial_free|_int_(?:free\w*|malloc)|malloc_consolidate|unlink_chunk|(?:\(anonymous namespace\)::)?InvalidFree.*|scudo::report\w+.*)$/,
    message:
      /^(?:(?:free|malloc|realloc|calloc|munmap_chunk|mremap_chunk|malloc_consolidate|malloc_check_get_size|memalign|tcache_thread_shutdown|sysmalloc)\(\): |corrupted (?:size|double-linked|top)|invalid fastbin|unaligned (?:tcache|fastbin)|corrupt(?:ed|ion))/,
  },
  {
    reason: 'pure_virtual_call',
    words: 'call of a pure virtual function: the object was not yet or no longer there',
    functions: /^__cxa_(?:pure|deleted)_virtual$/,
  },
  {
    reason: 'uncaught_exception',
    words: 'a C++ exception reached a function that may let none pass (noexcept)',
    functions: /^__gxx_personality_v0$/,
  },
  {
    reason: 'uncaught_exception',
    words: ({ all }) => `uncaught C++ exception${exceptionType(all)}`,
    functions: /^__cxa_(?:throw|rethrow)$/,
  },
  {
    reason: 'uncaught_exception',
    words: 'std::terminate(): an exception where none may pass, or a thread that was destroyed before it was joined',
    functions:
      /^(?:std::(?:__)?terminate|__cxxabiv1::__terminate|__clang_call_terminate|__gnu_cxx::__verbose_terminate_handler)\b/,
  },
  {
    reason: 'stack_overflow',
    words: 'stack overflow, which the Rust runtime found',
    functions: /^std::sys::.*stack_overflow::.*signal_handler/,
  },
  {
    reason: 'out_of_memory',
    words: 'an allocation failed (Rust)',
    functions:
      /^(?:alloc::alloc::handle_alloc_error|std::alloc::rust_oom|(?:__rustc::)?__rust_alloc_error_handler|__rdl_oom)/,
  },
  {
    reason: 'panic',
    words: ({ all }) => `Rust panic${kindOf(RUST_PANICS, all)}`,
    functions:
      /^(?:(?:std|core)::panicking::|(?:__rustc::)?(?:rust_panic|rust_begin_unwind|__rust_start_panic)\b|panic_abort::)/,
  },
  {
    reason: 'stack_overflow',
    words: 'the stack of a goroutine reached its limit',
    functions: /^runtime\.newstack$/,
  },
  {
    reason: 'runtime_error',
    words: 'deadlock: the Go runtime found that no goroutine could go on',
    functions: /^runtime\.checkdead$/,
  },
  {
    reason: 'runtime_error',
    words: ({ all }) => `fatal error of the Go runtime${kindOf(GO_PANICS, all)}`,
    functions: /^runtime\.(?:throw|fatal|fatalthrow)(?:\.func1)?$/,
  },
  {
    reason: 'panic',
    words: ({ all }) => `Go panic${kindOf(GO_PANICS, all)}`,
    functions: /^runtime\.(?:gopanic|fatalpanic)$/,
  },
  {
    reason: 'runtime_error',
    words: 'the Go runtime raised the signal again after it had handled it',
    functions: /^runtime\.(?:dieFromSignal|crash|sigpanic|sighandler)$/,
  },
  {
    reason: 'runtime_error',
    words: 'Python fatal error, which the interpreter printed',
    functions: /^_?Py_FatalError/,
  },
  {
    reason: 'abort_call',
    words: 'the program called os.abort() (Python)',
    functions: /^os_abort$/,
  },
  {
    reason: 'abort_call',
    words: 'the program called process.abort() (Node.js)',
    functions: /^node::Abort\(v8::FunctionCallbackInfo/,
  },
  {
    reason: 'failed_check',
    words: 'a check of Node.js or V8 failed',
    functions: /^(?:node::(?:Abort|Assert|OnFatalError)\b|V8_Fatal\b|v8::base::OS::Abort\b)/,
  },
  {
    reason: 'failed_check',
    words: 'a CHECK or LOG(FATAL) failed (glog, Abseil)',
    functions: /^(?:google|absl(?:::\w+)?::log_internal)::LogMessage(?:Fatal)?::/,
  },
  {
    reason: 'failed_check',
    words: 'a fatal message of GLib or Qt',
    functions: /^(?:g_(?:logv?|log_structured\w*|assertion_message\w*)|QMessageLogger::fatal\b.*)$/,
  },
  {
    reason: 'runtime_error',
    words: 'a bug of the Ruby interpreter, which it printed',
    functions: /^rb_bug/,
  },
  {
    reason: 'runtime_error',
    words: 'fatal error of the C library',
    functions: /^__libc_fatal$/,
    message: /\S/,
  },
  {
    reason: 'abort_call',
    words: 'it called abort()',
    functions: /^(?:__GI_)?abort$/,
  },
];

/** null: frames and message say nothing. */
export function explainAbort(facts: CrashFacts): Explanation | null {
  for (const { reason, words, ...pattern } of ABORTS) {
    const evidence = evidenceOf(pattern, facts);
    if (evidence !== null)
      return { reason, words: typeof words === 'string' ? words : words(facts), evidence: [evidence] };
  }
  return null;
}

function evidenceOf(
  { functions, message, caller }: Omit<AbortRow, 'reason' | 'words'>,
  facts: CrashFacts,
): string | null {
  const frame =
    functions === undefined
      ? undefined
      : reporters(facts.all).find(({ function: name }) => name !== null && functions.test(name));
  if (frame !== undefined) return `its stack has ${frameName(frame)}`;
  if (message !== undefined && facts.message !== null && message.test(facts.message))
    return 'the message that the C library kept says so';
  const module = caller === undefined ? undefined : callerOfAbort(facts.all);
  return module !== undefined && caller?.test(module) === true ? `abort() was called in ${module}` : null;
}

/** The innermost frames up to the first guess. */
function sure(frames: readonly Frame[]): readonly Frame[] {
  const guess = frames.findIndex(({ guess, found_by }) => guess || found_by === 'cut');
  return frames.slice(0, guess < 0 ? FRAMES_MAX : Math.min(guess, FRAMES_MAX));
}

/** The frames in front of the program's own. A thread of a sanitizer or of a runtime also begins with its functions: they say nothing. */
function reporters(frames: readonly Frame[]): readonly Frame[] {
  const known = sure(frames);
  return known.slice(0, reportingFrames(known));
}

function callerOfAbort(frames: readonly Frame[]): string | undefined {
  const known = sure(frames);
  const abort = known.findIndex(({ function: name }) => name === 'abort' || name === '__GI_abort');
  const module = abort < 0 ? null : (known[abort + 1]?.module ?? null);
  return module === null ? undefined : fileName(module);
}

/** The function that throws an exception of the standard library names it: `std::__throw_out_of_range_fmt(char const*, ...)`. */
function exceptionType(frames: readonly Frame[]): string {
  const at = frames.findIndex(({ function: name }) => name === '__cxa_throw');
  const thrower = frames[at + 1]?.function ?? '';
  const standard = /^std::(?:__\w+::)?__throw_(\w+?)(?:_fmt|_str)?(?:\(.*)?$/s.exec(thrower)?.[1];
  if (at < 0 || frames[at + 1]?.guess !== false) return '';
  if (standard !== undefined) return ` (std::${standard})`;
  return /^operator new(?:\[\])?\(/.test(thrower) ? ' (std::bad_alloc)' : '';
}

type Kinds = readonly (readonly [RegExp, string])[];

const RUST_PANICS: Kinds = [
  [/^core::panicking::panic_bounds_check/, 'index out of bounds'],
  [/^core::slice::index::slice_\w+_fail/, 'range of a slice out of bounds'],
  [/^core::option::(?:unwrap|expect)_failed/, 'unwrap or expect of None'],
  [/^core::result::unwrap_failed/, 'unwrap or expect of an error'],
  [/^core::panicking::panic_const::panic_const_(?:div|rem)_by_zero/, 'division by zero'],
  [/^core::panicking::panic_const::panic_const_\w+_overflow/, 'arithmetic overflow'],
  [/^core::cell::panic_already/, 'a RefCell was already borrowed'],
  [/^core::panicking::assert_failed/, 'an assertion failed'],
  [/^core::panicking::panic_cannot_unwind|^core::panicking::panic_nounwind/, 'in a function that must not panic'],
];

const GO_PANICS: Kinds = [
  [/^runtime\.(?:goP|p)anic(?:Index|Slice)\w*$/, 'index or slice out of range'],
  [/^runtime\.panicdivide$/, 'integer division by zero'],
  [/^runtime\.panicdottype\w*$/, 'failed type assertion'],
  [/^runtime\.sigpanic$/, 'after a fault: nil dereference or a bad address'],
];

/** What the innermost functions say of a panic, in brackets. */
function kindOf(kinds: Kinds, frames: readonly Frame[]): string {
  const names = sure(frames).map(({ function: name }) => name ?? '');
  const kind = kinds.find(([pattern]) => names.some((name) => pattern.test(name)));
  return kind === undefined ? '' : ` (${kind[1]})`;
}
