// SPDX-License-Identifier: Apache-2.0
// A time in which no probe was attached, as the loader reports it (docs/wire.md).
import * as z from 'zod/mini';
import { i64, object, u64 } from './values.ts';

export const gapSchema = object({
  type: z.literal('gap'),
  seq: u64,
  time_ns: u64,
  clock_offset_ns: i64,
  from_ns: u64,
});
/** No probe was attached from `from_ns` until `time_ns`. */
export type Gap = z.output<typeof gapSchema>;

/** In `hello`: before this loader. null: at no time, or there was no loader before. Absent in lines of older loaders. */
export const gapBefore = z._default(z.nullable(object({ from_ns: u64, to_ns: u64 })), null);
