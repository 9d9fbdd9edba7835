// SPDX-License-Identifier: Apache-2.0
// Crashes for table tests: what the probes copied, and frames, as compact as they can be written. deadly.ts has the terminations.
import type { Crash, Frame, Mapping } from '../../src/core/wire/crash.ts';
import type { Death, Fault } from '../../src/core/wire/event.ts';
import { fault, itself, killedBy, signal } from './deadly.ts';

const LIBC = '/usr/lib/x86_64-linux-gnu/libc.so.6';
export const PROGRAM = '/usr/bin/chain';

/** `leaf` of the program, `abort@libc`, `f@/opt/libx.so`, `?@libc` without a name, `!leaf` as a guess, `` for code without a file. */
export function frame(text: string, changes: Partial<Frame> = {}): Frame {
  const [, mark, name = '', file] = /^(!?)(.*?)(?:@([^@]*))?$/s.exec(text) ?? [];
  const module = file === undefined ? PROGRAM : file === 'libc' ? LIBC : file;
  const known = name !== '' && name !== '?';
  const guess = mark === '!';
  return {
    pc: '0x55e8092a0184',
    function: known ? name : null,
    offset: known ? 31 : 0,
    module: name === '' ? null : module,
    address: name === '' ? null : '0x1184',
    build_id: name === '' ? null : `b1d${module.length}`,
    found_by: guess ? 'scan' : 'cfi',
    guess,
    ...changes,
  };
}

export const frames = (...texts: readonly string[]): Frame[] => texts.map((text) => frame(text));

export function mapping(access: string, changes: Partial<Mapping> = {}): Mapping {
  return {
    start: '0x7f0000000000',
    end: '0x7f0000010000',
    access,
    path: null,
    offset: 0,
    file_bytes: 0,
    deleted: false,
    grows_down: false,
    ...changes,
  };
}

export function crash(changes: Partial<Crash> = {}): Crash {
  return {
    state: 'unwound',
    sequence: 7n,
    tid: 4242,
    signo: 11,
    instruction_pointer: '0x401136',
    stack_pointer: '0x7ffc00001000',
    address: '0xbeef',
    code: null,
    message: null,
    mapping: null,
    next_mapping: null,
    frames: frames('leaf', 'main', '__libc_start_main@libc', '_start'),
    end: 'outermost',
    complete: true,
    handled_frames: [],
    handled_end: '',
    problems: [],
    executable_htlhash: null,
    ...changes,
  };
}

/** A fault, and the copy of it. `null`: without a copy. */
export function faulted(
  signo: number,
  code: number,
  facts: Partial<Fault> = {},
  copy: Partial<Crash> | null = {},
): Death {
  const its = fault(signo, code, facts);
  const { address, instruction_pointer, stack_pointer } = its;
  const same = { signo, address, instruction_pointer, stack_pointer };
  return killedBy(signo, { fault: its, crash: copy === null ? null : crash({ ...same, ...copy }) });
}

/** abort(3), with these frames in front of the program's. */
export function aborted(copy: Partial<Crash> | null = {}): Death {
  const by = signal(6, { code: -6, sender: itself() });
  return killedBy(6, { signal: by, crash: copy === null ? null : crash({ signo: 6, ...copy }) });
}

/** What glibc puts on the stack of every abort. */
export const ABORT = ['?@libc', 'raise@libc', 'abort@libc'] as const;
