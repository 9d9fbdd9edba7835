// SPDX-License-Identifier: Apache-2.0
// The messages about terminations that are only counted, since their key is armed (docs/decisions/0065), as in event.ts.
import * as z from 'zod/mini';
import { i64, int, object, text, u64 } from './values.ts';

const outcome = z.enum(['aggregated', 'filtered']);

export const repeatSchema = object({
  type: z.literal('repeat'),
  id: u64,
  key: text,
  as: outcome,
  total: u64,
  first_ns: u64,
  last_ns: u64,
  clock_offset_ns: i64,
});
/** How many terminations the kernel only counted under an armed key. */
export type Repeat = z.output<typeof repeatSchema>;

export const equalSchema = object({
  type: z.literal('equal'),
  seq: u64,
  time_ns: u64,
  clock_offset_ns: i64,
  key: text,
  as: outcome,
  pid: int,
  start_boottime_ns: u64,
});
/** A termination that was in the ring when its key was armed. */
export type Equal = z.output<typeof equalSchema>;

export const repeatsSchema = object({ type: z.literal('repeats'), ids: z.array(u64) });
/** All entries that the loader has. */
export type RepeatIds = z.output<typeof repeatsSchema>;
