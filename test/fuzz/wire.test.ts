// SPDX-License-Identifier: Apache-2.0
// Fuzzes the wire decoder with golden lines that are cut, changed, repeated and mixed with garbage, in any chunks, for
// WHODUNIT_FUZZ_SECONDS. test/core/wire/wire.test.ts tests single lines.
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Decoded, Decoder, LINE_BYTES_MAX } from '../../src/core/wire/wire.ts';

const seconds = Number(process.env.WHODUNIT_FUZZ_SECONDS ?? 1);
const directory = new URL('../wire/', import.meta.url);
const golden = readdirSync(directory)
  .filter((name) => name.endsWith('.json'))
  .map((name) => readFileSync(new URL(name, directory)));
const status = readFileSync(new URL('status.json', directory));

/** A golden line, unchanged, with some bytes replaced, or with a part removed. */
const line = fc
  .record({
    bytes: fc.constantFrom(...golden),
    replaced: fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }),
    cut: fc.option(fc.tuple(fc.nat(), fc.nat({ max: 64 }))),
  })
  .map(({ bytes, replaced, cut }) => {
    const changed = Buffer.from(bytes);
    for (const [at, byte] of replaced) changed[at % changed.length] = byte;
    if (cut === null) return changed;
    const from = cut[0] % changed.length;
    return Buffer.concat([changed.subarray(0, from), changed.subarray(from + cut[1])]);
  });
const garbage = fc.oneof(
  fc.uint8Array({ maxLength: 100 }),
  fc.json().map((text) => Buffer.from(`${text}\n`)),
  fc.nat({ max: 2 * LINE_BYTES_MAX }).map((length) => Buffer.alloc(length, 'x')),
);
const stream = fc.array(fc.oneof({ weight: 4, arbitrary: line }, { weight: 1, arbitrary: garbage }), { maxLength: 8 });
const cuts = fc.array(fc.nat(), { maxLength: 12 });

function decode(chunks: readonly Uint8Array[]): Decoded[] {
  const decoder = new Decoder();
  return [...chunks.flatMap((chunk) => decoder.push(chunk)), ...decoder.end()];
}

it('returns only messages and its own errors, the same for any chunks, and recovers on the next valid line', {
  timeout: (seconds + 60) * 1000,
}, () => {
  let runs = 0;
  fc.assert(
    fc.property(stream, cuts, (parts, at) => {
      runs += 1;
      const whole = Buffer.concat(parts);
      const borders = [0, ...at.map((cut) => cut % (whole.length + 1)).sort((a, b) => a - b), whole.length];
      const decoded = decode([whole]);
      expect(decode(borders.slice(1).map((to, index) => whole.subarray(borders[index], to)))).toEqual(decoded);
      for (const one of decoded) if (!one.ok) expect(one.error.code).toMatch(/^WIRE_/);
      const last = decode([whole, Buffer.from('\n'), status]).at(-1);
      expect(last?.ok && last.message.type).toBe('status');
    }),
    { numRuns: Number.MAX_SAFE_INTEGER, interruptAfterTimeLimit: seconds * 1000, markInterruptAsFailure: false },
  );
  expect(runs).toBeGreaterThan(0);
});
