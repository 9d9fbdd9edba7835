// SPDX-License-Identifier: Apache-2.0
// The schema of what is known of a crash, a part of `death` (docs/wire.md). core/crash/ interprets it.
import * as z from 'zod/mini';
import { flag, hex, int, object, text, u64 } from './values.ts';

const frame = object({
  pc: hex,
  function: z.nullable(text),
  /** Of `pc` in the function; 0 where its beginning is not known. */
  offset: int,
  module: z.nullable(text),
  /** `pc` as an address of the module's file. */
  address: z.nullable(hex),
  build_id: z.nullable(text),
  found_by: text,
  /** It may not exist. */
  guess: flag,
});
/** A function of a stack that had not returned. */
export type Frame = z.output<typeof frame>;

const mapping = object({
  start: hex,
  end: hex,
  access: text,
  path: z.nullable(text),
  offset: int,
  file_bytes: int,
  deleted: flag,
  grows_down: flag,
});
/** A part of a process's address space. */
export type Mapping = z.output<typeof mapping>;

export const crashSchema = object({
  state: z.enum(['unwound', 'repeated', 'no_slot', 'busy', 'lost', 'failed', 'timeout']),
  sequence: u64,
  tid: int,
  signo: int,
  instruction_pointer: z.nullable(hex),
  stack_pointer: z.nullable(hex),
  address: z.nullable(hex),
  code: z.nullable(text),
  message: z.nullable(text),
  mapping: z.nullable(mapping),
  next_mapping: z.nullable(mapping),
  frames: z.array(frame),
  end: text,
  complete: flag,
  handled_frames: z.array(frame),
  handled_end: text,
  problems: z.array(text),
  /** Absent in lines of older loaders. */
  executable_htlhash: z._default(z.nullable(z.string().check(z.regex(/^[0-9a-f]{32}$/))), null),
});
/** What was copied of a crash, and found from that. */
export type Crash = z.output<typeof crashSchema>;
