// SPDX-License-Identifier: Apache-2.0
// What a termination says about one before it, of the same pipeline.
import { expect, it } from 'vitest';
import { Endings } from '../../src/core/filter/memory.ts';
import type { Death, Victim } from '../../src/core/wire/event.ts';
import { recordOf } from '../support/circumstances.ts';
import { actor, END, exitedWith, itself, killedBy, noinfoSignal, signal, victim } from '../support/deadly.ts';

const PIPE = 4711;
const pipes = (input: number | null, output: number | null, output_readers = 0): Victim['pipes'] => ({
  input,
  output,
  output_readers,
});
const writer = (changes: Partial<Victim> = {}): Death =>
  killedBy(13, {
    process: victim({ exe: '/usr/bin/yes', args: ['yes'], pipes: pipes(null, PIPE), ...changes }),
    signal: noinfoSignal(13, { syscall: 1, sender: itself(), kernel_stack: ['pipe_write'] }),
  });
const reader = (changes: Partial<Death> = {}): Death =>
  killedBy(9, {
    time_ns: END - 1000n,
    process: victim({ pid: 77, exe: '/usr/bin/jq', args: ['jq'], pipes: pipes(PIPE, null) }),
    signal: signal(9, { sender: actor({ ancestors: [] }) }),
    ...changes,
  });

const WAS_KILLED = '; the reader of its output, jq (pid 77), was killed by SIGKILL, sent by bash (pid 99, alice).';

it.each<[string, Death, Death, string]>([
  ['the reader was killed', reader(), writer(), WAS_KILLED],
  [
    'the reader exited with an error',
    exitedWith(3, { time_ns: END - 1000n, process: reader().process }),
    writer(),
    '; the reader of its output, jq (pid 77), exited with code 3.',
  ],
  ['another pipe', reader(), writer({ pipes: pipes(null, PIPE + 1) }), '.'],
  ['the pipe still has a reader: the write was to another one', reader(), writer({ pipes: pipes(null, PIPE, 1) }), '.'],
  ['the reader ended later', reader({ time_ns: END + 1n }), writer(), '.'],
  [
    'so long ago that the number may be that of another pipe',
    reader({ time_ns: END - 600_000_000_001n }),
    writer(),
    '.',
  ],
  ['an older loader', reader(), writer({ pipes: null }), '.'],
  [
    'it was not SIGPIPE',
    reader(),
    killedBy(9, { process: writer().process, signal: signal(9, { sender: actor({ ancestors: [] }) }) }),
    '.',
  ],
])('%s', (_, first, second, end) => {
  const endings = new Endings();
  const { attributes: of } = recordOf(first, { endings });
  const { body, attributes } = recordOf(second, { endings });
  const [, said = ''] = /after 3\.0 s(?:: [^;]*)?(;.*|\.)$/.exec(String(body)) ?? [];
  expect([said, attributes['whodunit.reader.termination.uid']]).toEqual([
    end,
    end === '.' ? undefined : of['log.record.uid'],
  ]);
});

it('a parent that terminated is named as its own termination names it', () => {
  const endings = new Endings();
  const parent = { pid: 77, start_boottime_ns: 5n };
  recordOf(reader({ process: victim({ ...parent, exe: '/usr/bin/bash', args: ['bash', '/opt/job.sh'] }) }), {
    endings,
  });
  const sender = actor({ ...parent, comm: 'bash', exe: null, args: null, ancestors: [], exiting: true });
  const child = killedBy(15, { pdeath_signal: 15, signal: noinfoSignal(15, { sender }) });
  expect(recordOf(child, { endings }).body).toContain(
    ': its parent, job.sh (pid 77, alice), terminated (PR_SET_PDEATHSIG);',
  );
  const unknown = recordOf(child, { endings: new Endings() }).body;
  expect(unknown).toContain(': its parent, bash (pid 77, alice, executable not known), terminated (PR_SET_PDEATHSIG).');
});

it('a name of the reader cannot begin a new line', () => {
  const endings = new Endings();
  const hostile = victim({ pid: 77, exe: '/tmp/jq\n\u001b[2J\u202e', args: null, pipes: pipes(PIPE, null) });
  recordOf(reader({ process: hostile }), { endings });
  const { body } = recordOf(writer(), { endings });
  expect(body).toContain('; the reader of its output, ');
  expect(body).not.toMatch(/[\n\u001b\u202e]/);
});
