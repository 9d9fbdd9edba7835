// SPDX-License-Identifier: Apache-2.0
// The schemas of single values on the wire, from which event.ts builds those of the messages.
import * as z from 'zod/mini';
import { type $strip, type $ZodObject, $ZodObjectJIT, type $ZodShape } from 'zod/v4/core';

/**
 * A value without structure: `read` returns it, or undefined if it is not one. In one step: the checks of a schema cost an object each, and
 * a termination has some sixty of these values.
 */
function scalar<Value>(expected: string, read: (value: unknown) => Value | undefined) {
  return z.transform((value: unknown, { issues }): Value => {
    const result = read(value);
    if (result === undefined) issues.push({ code: 'custom', message: `expected ${expected}`, input: value });
    return result as Value;
  });
}

/** A 64-bit value: a decimal string on the wire, a bigint here. */
export const u64 = scalar('a decimal string of 64 bits', (value) =>
  typeof value === 'string' && /^\d{1,20}$/.test(value) ? BigInt(value) : undefined,
);
/** CLOCK_REALTIME − CLOCK_BOOTTIME in ns. Negative if the clock is set to 1970 or earlier. */
export const i64 = scalar('a decimal string of 64 bits', (value) =>
  typeof value === 'string' && /^-?\d{1,19}$/.test(value) ? BigInt(value) : undefined,
);
export const hex = scalar('a hexadecimal string of 64 bits', (value) =>
  typeof value === 'string' && /^0x[0-9a-fA-F]{1,16}$/.test(value) ? value : undefined,
);
export const int = scalar('a whole number', (value) => (Number.isSafeInteger(value) ? (value as number) : undefined));
export const text = z.string();
export const flag = z.boolean();

/** Like z.object() of zod/mini, but compiled if the runtime allows it, which is three times as fast. */
export function object<Shape extends $ZodShape>(shape: Shape): $ZodObject<Shape, $strip> {
  return new $ZodObjectJIT({ type: 'object', shape }) as $ZodObject<Shape, $strip>;
}
