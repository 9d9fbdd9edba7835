// SPDX-License-Identifier: Apache-2.0
// Programs that crash (scripts/build/crash-programs.ts), and what their records must say: the functions from the innermost one on, and why.
// Run as a program, it prints the list that the init of a virtual machine runs: `crashes.ts DIRECTORY TIMES`.
import { join } from 'node:path';

export interface CrashCase {
  readonly name: string;
  readonly id: string;
  /** The file of the program, and its arguments. */
  readonly program: string;
  readonly args: readonly string[];
  readonly environment?: readonly string[];
  /** In this order; between them may be others. */
  readonly functions: readonly string[];
  /** A part of the record's body. */
  readonly sentence: RegExp;
}

export const CRASHES: readonly CrashCase[] = [
  {
    name: 'C, stripped: a null pointer',
    id: 'crash-null',
    program: 'crash-c',
    args: ['chain'],
    functions: ['leaf', 'four', 'three', 'two', 'one', 'outer', 'main'],
    sentence: /crashed with SIGSEGV .*null dereference/,
  },
  {
    name: 'C, stripped: a failed assertion',
    id: 'crash-assert',
    program: 'crash-c',
    args: ['assert'],
    functions: ['abort', 'asserts', 'outer', 'main'],
    sentence: /an assertion failed.*the answer/,
  },
  {
    name: 'C, static, stripped: in the handler of a fault, on its own stack',
    id: 'crash-fault-handler',
    program: 'crash-static',
    args: ['fault in handler'],
    functions: ['in_handler', 'handler', '<signal handler called>', 'faulting', 'outer', 'main'],
    sentence: /crashed with SIGSEGV/,
  },
  {
    name: 'C, static, stripped: in the handler of another signal, on its own stack',
    id: 'crash-handler',
    program: 'crash-static',
    args: ['alternate stack'],
    functions: ['in_handler', 'handler', '<signal handler called>', 'interrupted', 'outer', 'main'],
    sentence: /crashed with SIGSEGV .*null dereference/,
  },
  {
    name: 'C, static, stripped: a stack overflow',
    id: 'crash-overflow',
    program: 'crash-static',
    args: ['recursion'],
    functions: ['recurse'],
    sentence: /stack overflow/,
  },
  {
    name: 'C++: an exception that no one catches, in a thread',
    id: 'crash-exception',
    program: 'crash-cpp',
    args: [],
    functions: [
      'abort',
      '__cxa_throw',
      'app::deepest(std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> > const&)',
      'void app::middle<long>(long)',
      'app::Worker::run(int)',
    ],
    sentence: /uncaught C\+\+ exception/,
  },
  {
    name: 'Go, stripped: a nil dereference in a goroutine',
    id: 'crash-go',
    program: 'crash-go',
    args: [],
    environment: ['GOTRACEBACK=crash'],
    functions: [
      'runtime.sigpanic',
      'main.dereference',
      'main.middle',
      'main.(*server).serve',
      'main.main.func1',
      'runtime.goexit',
    ],
    sentence: /Go panic \(after a fault: nil dereference or a bad address\)/,
  },
];

if (process.argv[1] === import.meta.filename) {
  const [, , directory = '', times = ''] = process.argv;
  const list = CRASHES.map(({ id, program, args, environment = [] }) => ({
    id,
    command: [join(directory, program), ...args],
    environment,
  }));
  console.log(JSON.stringify({ times: Number(times), crashes: list }));
}
