// SPDX-License-Identifier: Apache-2.0
// Attributes of OpenTelemetry as plain values, and how they are made from pairs. Names of attributes are in semconv.ts.

export type AttributeValue = string | number | boolean | readonly string[];
export type Attributes = Record<string, AttributeValue>;

export type Pair = readonly [key: string, value: AttributeValue | null | undefined];

/**
 * The pairs that have a value; of those with the same key the last. An object to which a dozen computed keys are assigned becomes a
 * hash table in V8 (JSObject::TooManyFastProperties), which takes twice as long to build and to read.
 */
export function attributesOf(pairs: readonly Pair[]): Attributes {
  return Object.fromEntries(pairs.filter(hasValue));
}

function hasValue(pair: Pair): pair is readonly [string, AttributeValue] {
  return pair[1] !== null && pair[1] !== undefined;
}
