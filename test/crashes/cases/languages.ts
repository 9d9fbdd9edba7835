// SPDX-License-Identifier: Apache-2.0
// C++, Rust, Go, Python, JavaScript and Java.
import { CRASHES, NODE } from '../../../scripts/paths.ts';
import { built, type Case } from '../case.ts';

const GO_FUNCTIONS = ['main.dereference', 'main.middle', 'main.(*server).serve', 'main.main.func1', 'runtime.goexit'];

/** What is not unwound has no functions, and the record says so. */
const GO_32: Case = {
  name: '32-bit Go nil dereference that aborts',
  command: [built('go-32')],
  env: { GOTRACEBACK: 'crash' },
  ends: 'SIGABRT',
  functions: [],
  says: undefined,
  place: null,
  unknown: 'stacks of 32-bit processes are not unwound',
};

/** A way of classes.cc. The first function is the place. */
const classes = (
  way: string,
  ends: NodeJS.Signals,
  before: readonly string[],
  functions: readonly string[],
  says: string,
): Case => ({
  name: `C++ ${way}`,
  command: [built('classes'), way],
  ends,
  functions: [...before, ...functions, 'main'],
  says,
  place: functions[0] ?? null,
});

const CPP: readonly Case[] = [
  classes(
    'pure virtual',
    'SIGABRT',
    ['abort', '__cxa_pure_virtual'],
    ['Base::calls(int)', 'Base::Base()'],
    'call of a pure virtual function: the object was not yet or no longer there',
  ),
  classes(
    'noexcept',
    'SIGABRT',
    ['abort', '__gxx_personality_v0', '__cxa_throw'],
    ['throws_nothing(int)'],
    'a C++ exception reached a function that may let none pass (noexcept)',
  ),
  classes(
    'another type is caught',
    'SIGABRT',
    ['abort', 'std::terminate()', '__cxa_throw'],
    ['out_of_range(int)', 'catches_others(int)'],
    'uncaught C++ exception',
  ),
  classes(
    'lambda',
    'SIGSEGV',
    [],
    ['in_lambda(int)::{lambda(int)#1}::operator()(int) const', 'in_lambda(int)'],
    'null dereference (write of p)',
  ),
  classes('cold part', 'SIGSEGV', [], ['unlikely(int)'], 'null dereference (write of p)'),
  classes(
    'thread that is not joined',
    'SIGABRT',
    ['abort', 'std::terminate()'],
    ['forgets_thread(int)'],
    'std::terminate(): an exception where none may pass, or a thread that was destroyed before it was joined',
  ),
];

const COMPILED: readonly Case[] = [
  {
    name: 'C++ exception that no one catches, in a thread',
    command: [built('throws')],
    ends: 'SIGABRT',
    functions: [
      'abort',
      'std::terminate()',
      '__cxa_throw',
      'app::deepest(std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> > const&)',
      'void app::middle<long>(long)',
      'app::Worker::run(int)',
    ],
    says: 'uncaught C++ exception',
    place: 'app::deepest(std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> > const&)',
  },
  {
    name: 'Rust panic that aborts',
    command: [built('panics')],
    ends: 'SIGABRT',
    functions: [
      'abort',
      'std::process::abort',
      'core::panicking::panic_bounds_check',
      'panics::Table<i32>::get',
      'panics::outer',
      'panics::main',
      'main',
    ],
    says: 'Rust panic (index out of bounds)',
    place: 'panics::Table<i32>::get',
  },
  {
    name: 'Go nil dereference that aborts, stripped',
    command: [built('go')],
    env: { GOTRACEBACK: 'crash' },
    ends: 'SIGABRT',
    functions: ['runtime.gopanic', 'runtime.sigpanic', ...GO_FUNCTIONS],
    says: 'Go panic (after a fault: nil dereference or a bad address)',
    place: 'main.dereference',
  },
  {
    name: 'Go nil dereference that exits with 2, stripped',
    onlyAtExit: true,
    command: [built('go')],
    ends: 2,
    functions: GO_FUNCTIONS,
    says: /^null dereference \(read of p \+ 0x18\), [\d.]+ [mµ]s before, which a handler took$/,
    place: 'main.dereference',
  },
  ...(process.arch === 'x64' ? [GO_32] : []),
];

const INTERPRETED: readonly Case[] = [
  {
    name: 'Python os.abort()',
    command: ['/usr/bin/python3', '-c', 'import os; os.abort()'],
    ends: 'SIGABRT',
    functions: ['abort', '_PyEval_EvalFrameDefault', 'PyEval_EvalCode', 'Py_RunMain', 'Py_BytesMain', '_start'],
    says: 'it called abort()',
    place: null,
  },
  {
    name: 'Python ctypes',
    command: ['/usr/bin/python3', '-c', 'import ctypes; ctypes.string_at(8)'],
    ends: 'SIGSEGV',
    functions: ['ffi_call', '_PyEval_EvalFrameDefault', 'PyEval_EvalCode', 'Py_RunMain', 'Py_BytesMain', '_start'],
    says: 'null dereference (read of p + 0x8)',
    place: null,
  },
  {
    name: 'Node.js process.abort()',
    command: [NODE, '-e', 'process.abort()'],
    ends: 'SIGABRT',
    functions: [
      'abort',
      'node::Abort(v8::FunctionCallbackInfo<v8::Value> const&)',
      'Builtins_JSEntry',
      'node::NodeMainInstance::Run()',
      'node::Start(int, char**)',
      '_start',
    ],
    says: 'the program called process.abort() (Node.js)',
    place: 'Builtins_CallApiCallbackGeneric',
    guesses: true,
  },
  {
    name: 'Node.js heap out of memory',
    command: [NODE, '--max-old-space-size=8', '-e', 'const a = []; for (;;) a.push(new Array(1000).fill({}))'],
    ends: 'SIGABRT',
    functions: [
      'abort',
      'node::OOMErrorHandler(char const*, v8::OOMDetails const&)',
      'node::Start(int, char**)',
      '_start',
    ],
    says: 'JavaScript heap out of memory',
    place:
      'v8::internal::Heap::CollectGarbage(v8::internal::AllocationSpace, v8::internal::GarbageCollectionReason, v8::GCCallbackFlags)',
    guesses: true,
  },
  {
    name: 'Java write to address 0 in native code',
    command: ['java', '-Xmx64m', '-XX:TieredStopAtLevel=1', '-cp', CRASHES, 'Crashes'],
    ends: 'SIGABRT',
    functions: ['abort', 'JVM_handle_linux_signal', '<signal handler called>', 'Unsafe_PutLong', 'JavaMain'],
    says: /^fatal error of Java's virtual machine: see hs_err_pid\d+\.log in its working directory$/,
    place: 'Unsafe_PutLong',
    guesses: true,
  },
];

export const LANGUAGES: readonly Case[] = [...CPP, ...COMPILED, ...INTERPRETED];
