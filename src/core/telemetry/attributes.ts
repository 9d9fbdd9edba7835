// SPDX-License-Identifier: Apache-2.0
// OpenTelemetry attributes as plain values, built from pairs. The names are in semconv.ts.

export type AttributeValue = string | number | boolean | readonly string[];
export type Attributes = Record<string, AttributeValue>;

export type Pair = readonly [key: string, value: AttributeValue | null | undefined];

/**
 * The pairs that have a value. The last pair of a key wins. Not built by assignment: after a dozen computed keys, V8 turns the object
 * into a hash table (JSObject::TooManyFastProperties), which is half as fast to build and to read.
 */
export function attributesOf(pairs: readonly Pair[]): Attributes {
  return Object.fromEntries(pairs.filter(hasValue));
}

function hasValue(pair: Pair): pair is readonly [string, AttributeValue] {
  return pair[1] !== null && pair[1] !== undefined;
}
