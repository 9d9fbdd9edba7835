// SPDX-License-Identifier: Apache-2.0
// The disk queue when the service is killed: every item that was put is in it once, no settled record is, and the counters match the
// rows.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Queue } from '../../../src/io/queue/queue.ts';
import type { Row } from '../../../src/io/queue/tables.ts';
import { accounted, item, StateDirectory, uidOf } from '../../support/state.ts';

const WRITER = new URL('./queue-writer.ts', import.meta.url).pathname;
const numberOf = ({ record }: Row): number => Number.parseInt(Buffer.from(record).toString(), 10);

function drain(queue: Queue): number[] {
  const all: number[] = [];
  for (let rows = queue.take(512, 1 << 20); rows.length > 0; rows = queue.take(512, 1 << 20)) {
    all.push(...rows.map(numberOf));
    queue.settle([]);
  }
  return all;
}

describe('a process that is killed with SIGKILL', () => {
  it('loses no item that it had put, at any moment, over eight rounds', async () => {
    const state = new StateDirectory();
    const done = new Set<number>();
    let last = 0;
    for (let round = 0; round < 8; round += 1) {
      const child = spawn(
        process.execPath,
        ['--disable-warning=ExperimentalWarning', WRITER, state.path, String(last)],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      let output = '';
      child.stdout.on('data', (chunk) => {
        output += chunk;
      });
      await once(child.stdout, 'data');
      await new Promise((resolve) => setTimeout(resolve, 5 + 23 * round));
      child.kill('SIGKILL');
      await once(child, 'close');
      const settled = new Set<number>();
      const putBefore = last;
      for (const line of output.split('\n').slice(0, -1)) {
        const [what, numbers = ''] = line.split(' ');
        if (what === 'put') last = Number(numbers);
        else for (const number of numbers.split(',').map(Number)) settled.add(number);
      }
      expect(last).toBeGreaterThan(putBefore);
      const queue = state.open();
      const found = drain(queue);
      const known = new Set(queue.uids());
      queue.close();
      expect(accounted(state.totals)).toBe(state.totals.received);
      expect(new Set(found).size).toBe(found.length);
      for (const number of found) expect(settled.has(number) || done.has(number)).toBe(false);
      const pending = new Set(found);
      for (let number = putBefore + 1; number <= last; number += 1) {
        // It was put, so its uid is stored. Its record is pending unless it was filtered or settled, even if the report of that was cut off.
        expect(known.has(uidOf(number))).toBe(true);
        if (number % 5 === 0) expect(pending.has(number)).toBe(false);
        else if (!settled.has(number) && !pending.has(number)) expect(number).toBeLessThan(Math.min(...found));
      }
      // One more transaction may have been written than the process could report.
      last = Math.max(last, ...found, state.totals.received);
      for (const number of [...found, ...settled]) done.add(number);
    }
    state.remove();
  });
});

type Step =
  | { readonly do: 'put'; readonly bodies: readonly boolean[] }
  | { readonly do: 'take'; readonly count: number }
  | { readonly do: 'settle'; readonly rejected: number }
  | { readonly do: 'restart' | 'crash' };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('put'), bodies: fc.array(fc.boolean(), { maxLength: 12 }) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('take'), count: fc.integer({ min: 1, max: 9 }) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('settle'), rejected: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('restart', 'crash') }) },
  ) as fc.Arbitrary<Step>,
  { maxLength: 40 },
);

describe('any sequence of puts, deliveries, restarts and crashes', () => {
  it('keeps every record once, in order, or counts it as lost', () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 4, max: 60 }), (sequence, room) => {
        // A crash: the files are copied as they are, and the copy is opened.
        let state = new StateDirectory();
        const bytesMax = room * 164;
        let queue = state.open({ bytesMax });
        let number = 0;
        const expected = { waiting: [] as number[], received: 0, filtered: 0, evicted: 0, rejected: 0, reported: 0 };
        let inFlight: number[] = [];
        for (const step of sequence) {
          switch (step.do) {
            case 'put': {
              const items = step.bodies.map((reported) => {
                number += 1;
                expected.received += 1;
                if (reported) expected.waiting.push(number);
                else expected.filtered += 1;
                return item(number, reported ? `${number}`.padEnd(100) : null);
              });
              queue.put(items);
              // The oldest record that is not in flight is evicted.
              while (expected.waiting.length > room && expected.waiting.length > inFlight.length) {
                expected.waiting.splice(inFlight.length, 1);
                expected.evicted += 1;
              }
              break;
            }
            case 'take':
              if (inFlight.length > 0) break;
              inFlight = queue.take(step.count, 1 << 20).map(numberOf);
              expect(inFlight).toEqual(expected.waiting.slice(0, step.count));
              break;
            case 'settle': {
              const count = Math.min(step.rejected, inFlight.length);
              queue.settle(count === 0 ? [] : [{ count, reason: 'no', record: null }]);
              expected.rejected += count;
              expected.reported += inFlight.length - count;
              expected.waiting.splice(0, inFlight.length);
              inFlight = [];
              break;
            }
            case 'restart':
              queue.close();
              queue = state.open({ bytesMax });
              inFlight = [];
              break;
            case 'crash': {
              const copy = new StateDirectory();
              for (const name of readdirSync(state.path)) cpSync(join(state.path, name), join(copy.path, name));
              queue.close();
              rmSync(state.path, { recursive: true });
              state = copy;
              queue = state.open({ bytesMax });
              inFlight = [];
            }
          }
          const { received, filtered, evicted, rejected, reported } = expected;
          expect(state.totals).toMatchObject({
            received,
            filtered,
            evicted,
            rejected,
            reported,
            pending: expected.waiting.length,
          });
          expect(accounted(state.totals)).toBe(received);
        }
        queue.settle([]);
        expected.waiting.splice(0, inFlight.length);
        expect(drain(queue)).toEqual(expected.waiting);
        expect(state.totals.bytes).toBe(0);
        queue.close();
        state.remove();
      }),
      { numRuns: 100 },
    );
  });
});
