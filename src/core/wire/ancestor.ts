// SPDX-License-Identifier: Apache-2.0
// A process above another one, as the loader describes it.
import * as z from 'zod/mini';
import { flag, int, object, text, u64 } from './values.ts';

/** What follows `comm` is absent in lines of older loaders. null: its program is not known. */
export const ancestor = object({
  pid: int,
  comm: text,
  start_boottime_ns: z.optional(u64),
  exe: z.optional(z.nullable(text)),
  args: z.optional(z.nullable(z.array(text))),
  args_truncated: z.optional(flag),
  /** Effective, when it executed its program. */
  uid: z.optional(z.nullable(int)),
  login_uid: z.optional(z.nullable(int)),
});
export type Ancestor = z.output<typeof ancestor>;
