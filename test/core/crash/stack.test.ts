// SPDX-License-Identifier: Apache-2.0
// The stack as text and as JSON, its fingerprint, and the message: for people, for machines, and from hostile programs.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fingerprintOf } from '../../../src/core/crash/fingerprint.ts';
import { collapse, frameLabel, placeOf, withoutReporting } from '../../../src/core/crash/frames.ts';
import { interpreterEvidence } from '../../../src/core/crash/interpreters.ts';
import { MESSAGE_BYTES_MAX, messageOf } from '../../../src/core/crash/message.ts';
import {
  FRAMES_CHARS_MAX,
  FRAMES_MAX,
  framesOf,
  STACKTRACE_CHARS_MAX,
  stacktraceOf,
} from '../../../src/core/crash/stacktrace.ts';
import type { Frame } from '../../../src/core/wire/crash.ts';
import { visible } from '../../../src/core/words/visible.ts';
import { recordOf } from '../../support/circumstances.ts';
import { ABORT, aborted, crash, faulted, frame, frames, mapping } from '../../support/crashes.ts';
import { fault, killedBy } from '../../support/deadly.ts';

const times = (count: number, ...texts: string[]) => Array.from({ length: count }, () => texts).flat();
const textOf = (stack: readonly Frame[]) => stacktraceOf(crash({ frames: [...stack] }));
const leftOut = (count: number) => frame(`<${count} frames left out>`, { module: null, found_by: 'cut' });

const ofRecursion = (count: number) =>
  frame(`<${count} frames of the recursion left out>`, { module: null, found_by: 'cut' });

describe('the stack as text', () => {
  it.each<[string, readonly Frame[], string]>([
    ['a function', frames('leaf'), '#0 leaf+0x1f (chain)'],
    ['its beginning', [frame('leaf', { offset: 0 })], '#0 leaf (chain)'],
    ['no name', frames('?'), '#0 chain+0x1184'],
    ['no file', frames(''), '#0 0x55e8092a0184'],
    ['a guess', frames('!leaf'), '#0 leaf+0x1f (chain) [guess: scan]'],
    [
      'frames that were left out',
      [...frames('a'), leftOut(8065), ...frames('b')],
      '#0 a+0x1f (chain)\n… 8,065 frames left out\n#8066 b+0x1f (chain)',
    ],
    [
      'recursion',
      frames('leaf', ...times(1235, 'f'), 'main'),
      '#0 leaf+0x1f (chain)\n#1 f+0x1f (chain)\n… 1,234 frames of f\n#1236 main+0x1f (chain)',
    ],
    [
      'recursion of two',
      frames(...times(10, 'a', 'b'), 'main'),
      '#0 a+0x1f (chain)\n#1 b+0x1f (chain)\n… 18 frames of a, b\n#20 main+0x1f (chain)',
    ],
    [
      'recursion whose middle was left out',
      [...frames('leaf', ...times(50, 'a', 'b'), 'a'), ofRecursion(971), ...frames('a', ...times(6, 'b', 'a'), 'main')],
      '#0 leaf+0x1f (chain)\n#1 a+0x1f (chain)\n#2 b+0x1f (chain)\n… 1,083 frames of a, b\n#1086 main+0x1f (chain)',
    ],
    [
      'recursion whose middle was left out, to the end',
      [...frames(...times(50, 'f')), ofRecursion(100), ...frames(...times(2, 'f'))],
      '#0 f+0x1f (chain)\n… 151 frames of f',
    ],
    [
      'a middle that had other functions',
      [...frames(...times(50, 'f')), leftOut(100), ...frames('f')],
      '#0 f+0x1f (chain)\n… 49 frames of f\n… 100 frames left out\n#150 f+0x1f (chain)',
    ],
    [
      'three times is no recursion yet',
      frames(...times(3, 'f')),
      '#0 f+0x1f (chain)\n#1 f+0x1f (chain)\n#2 f+0x1f (chain)',
    ],
  ])('%s', (_, stack, text) => {
    expect(textOf(stack)).toBe(text);
  });

  it('has the fault that was handled before', () => {
    const copy = crash({ frames: frames('raise@libc'), handled_frames: frames('broken') });
    expect(stacktraceOf(copy)).toBe(
      '#0 raise+0x1f (libc.so.6)\nat the fault that was handled before:\n#0 broken+0x1f (chain)',
    );
  });

  it('is null without frames', () => {
    expect(textOf([])).toBeNull();
  });

  it('leaves the outermost lines out if it is too long', () => {
    const text = textOf(Array.from({ length: 128 }, (_, at) => frame(`${'f'.repeat(300)}${at}`))) ?? '';
    expect(text.length).toBeLessThanOrEqual(STACKTRACE_CHARS_MAX);
    expect(text).toMatch(/\n… the rest was left out$/);
    expect(text).toMatch(/^#0 f{255}…\+0x1f \(chain\)\n#1 /);
  });
});

describe('the stack as JSON', () => {
  it('has what debuginfod needs', () => {
    expect(framesOf(frames(...times(6, 'f'), '!?')).map((text) => JSON.parse(text))).toEqual([
      {
        function: 'f',
        offset: 31,
        module: '/usr/bin/chain',
        address: '0x1184',
        build_id: 'b1d14',
        found_by: 'cfi',
        times: 6,
      },
      { module: '/usr/bin/chain', address: '0x1184', build_id: 'b1d14', found_by: 'scan', guess: true },
    ]);
  });

  it('is inert, and parses to the original', () => {
    const name = 'a\n\u001b[2J\u202e\u009b"\\';
    const [text = ''] = framesOf([frame(name)]);
    expect(visible(text)).toBe(text);
    expect(JSON.parse(text).function).toBe(name);
  });
});

/** Names as a hostile program has them. */
const hostile = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom(
    '\n#1 forged (bash)',
    '\u001b[31m',
    '\u202egnp.exe',
    'x'.repeat(4096),
    '\u2028',
    '\u0000',
    '<9 frames left out>',
    '<9 frames of the recursion left out>',
    '__proto__',
  ),
);
const nullable = fc.option(hostile, { nil: null });
const anyFrame: fc.Arbitrary<Frame> = fc.record({
  pc: fc.constant('0x1'),
  function: nullable,
  offset: fc.nat(),
  module: nullable,
  address: fc.constantFrom(null, '0x1184'),
  build_id: fc.constantFrom(null, 'ab'),
  found_by: fc.constantFrom('cfi', 'scan', 'cut', 'signal frame'),
  guess: fc.boolean(),
});

describe('a hostile program', () => {
  it('forges no line, and controls no terminal', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 40 }), hostile, nullable, (stack, message, path) => {
        const copy = { frames: stack, message, mapping: mapping('r--p', { path }), problems: [message] };
        for (const death of [
          faulted(11, 2, { address: '0x7f0000000010', error_code: 7 }, copy),
          aborted({ ...copy, handled_frames: stack }),
        ]) {
          const { body, attributes } = recordOf(death);
          const lines = String(attributes['exception.stacktrace'] ?? '').split('\n');
          for (const line of lines.filter((one) => one !== ''))
            expect(line).toMatch(/^(?:#\d+ |… [\d,]+ frames? (?:of|left out)|… the rest|at the fault)/);
          const said = [
            body,
            ...lines,
            ...Object.entries(attributes).flatMap(([key, value]) =>
              key === 'exception.stacktrace' ? [] : [value].flat(),
            ),
          ];
          for (const text of said) expect(visible(String(text))).toBe(String(text));
          expect(lines.length).toBeLessThanOrEqual(2 * stack.length + 3);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('has limits', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 128 }), (stack) => {
        expect(textOf(stack)?.length ?? 0).toBeLessThanOrEqual(STACKTRACE_CHARS_MAX);
        const items = framesOf(stack);
        expect(items.length).toBeLessThanOrEqual(FRAMES_MAX);
        expect(items.join('\n').length).toBeLessThanOrEqual(FRAMES_CHARS_MAX);
        for (const item of items) expect(() => JSON.parse(item)).not.toThrow();
      }),
      { numRuns: 200 },
    );
  });

  it('has a sentence of bounded length', () => {
    const long = 'x'.repeat(4096);
    const { body } = recordOf(aborted({ frames: frames(...ABORT, long), message: `Assertion \`${long}' failed` }));
    expect(String(body).length).toBeLessThan(600);
  });
});

describe('collapsing', () => {
  it('loses no frame', () => {
    const names = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 60 });
    fc.assert(
      fc.property(names, (texts) => {
        const lines = collapse(frames(...texts));
        const expanded = lines.flatMap((line) => times(line.times, ...line.frames.map((one) => one.function ?? '')));
        expect(expanded).toEqual(texts);
      }),
    );
  });
});

describe('the fingerprint', () => {
  const stack = (...texts: string[]) => fingerprintOf(withoutReporting(frames(...texts)));
  const same = stack('f', 'main');

  it.each<[string, readonly Frame[]]>([
    ['at other addresses', frames('f', 'main').map((one) => ({ ...one, pc: '0x1' }))],
    ['at another place in the function', frames('f', 'main').map((one) => ({ ...one, offset: 3, address: '0x2' }))],
    ['below abort()', frames(...ABORT, 'f', 'main')],
    [
      'below an assertion without names of the library',
      frames('?@libc', 'raise@libc', 'abort@libc', '?@libc', '__assert_fail@libc', 'f', 'main'),
    ],
    [
      'below a panic',
      frames(
        'abort@libc',
        'rust_panic',
        'std::panicking::begin_panic_handler',
        'core::option::unwrap_failed',
        'f',
        'main',
      ),
    ],
    ['with a guess above', frames('f', 'main', '!g')],
  ])('is the same %s', (_, other) => {
    expect(fingerprintOf(withoutReporting(other))).toBe(same);
  });

  it('is the same however deep the recursion was', () => {
    expect(stack(...times(500, 'f'), 'main')).toBe(stack(...times(90, 'f'), 'main'));
  });

  it('is 16 hexadecimal digits', () => {
    expect(same).toMatch(/^[0-9a-f]{16}$/);
  });

  it.each<[string, readonly Frame[]]>([
    ['another function', frames('g', 'main')],
    ['another caller', frames('f', 'g', 'main')],
    ['another build', frames('f', 'main').map((one) => ({ ...one, build_id: 'other' }))],
    ['no name', frames('?', 'main')],
  ])('differs for %s', (_, other) => {
    expect(fingerprintOf(other)).not.toBe(same);
  });

  it.each<[string, readonly Frame[]]>([
    ['only guesses', frames('!f')],
    ['no frames', []],
    ['code without a file', frames('', '')],
  ])('is null for %s', (_, none) => {
    expect(fingerprintOf(none)).toBeNull();
  });

  it('of a repeated crash is that of the first one, and named in the evidence', () => {
    const at = { address: '0x18', error_code: 4 };
    const first = recordOf(faulted(11, 1, at)).attributes;
    const again = recordOf(faulted(11, 1, at, { state: 'repeated' })).attributes;
    expect(again['whodunit.crash.fingerprint']).toBe(first['whodunit.crash.fingerprint']);
    expect(again['whodunit.evidence']).toContain(
      `the stack is the one of an equal crash in the 10 s before (fingerprint ${first['whodunit.crash.fingerprint']})`,
    );
  });
});

describe('the place', () => {
  it.each<[string, readonly Frame[], string | null]>([
    ['the innermost function', frames('f', 'main'), 'f+0x1f (chain)'],
    ['the caller of a null pointer', frames('', 'f', 'main'), 'f+0x1f (chain)'],
    ['not a guess', frames('!f', 'main'), null],
    ['not behind a guess', frames('', '!f', 'main'), null],
    ['a file without names', frames('?'), 'chain+0x1184'],
    ['nothing', [], null],
  ])('is %s', (_, stack, place) => {
    expect(placeOf(stack)).toBe(place);
  });

  it('without a function or a file is an address', () => {
    expect(frameLabel(frame('f', { module: null }))).toBe('f+0x1f');
  });
});

describe('the message of an abort', () => {
  const text = (message: string | null, mode: 'redacted' | 'full' | 'off' = 'redacted') =>
    messageOf(crash({ message }), mode);

  it.each<[string, string | null, string | null]>([
    ['as it is', 'free(): invalid pointer\n', 'free(): invalid pointer'],
    ['without secrets', 'failed: password=hunter2\n', 'failed: password=[REDACTED]'],
    ['without control characters', 'a\u001b[2Jb\nc', 'a\\u001b[2Jb\\u000ac'],
    ['none', null, null],
    ['empty', '\n', null],
  ])('%s', (_, message, shown) => {
    expect(text(message)).toBe(shown);
  });

  it('is redacted in every mode, and dropped where arguments are off', () => {
    expect(text('password=hunter2', 'full')).toBe('password=[REDACTED]');
    expect(text('password=hunter2', 'off')).toBeNull();
  });

  it('has at most 1 KiB, and whole characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 300, maxLength: 2000 }), (message) => {
        const shown = text(message) ?? '';
        expect(Buffer.byteLength(shown)).toBeLessThanOrEqual(MESSAGE_BYTES_MAX);
        expect(Buffer.from(shown, 'utf8').toString('utf8')).toBe(shown);
      }),
    );
    expect(text('é'.repeat(2000))).toMatch(/^é+…$/);
  });

  it('with WHODUNIT_ARGUMENTS=off is nowhere in the record, and still decides', () => {
    const death = aborted({ message: "a.c:3: main: Assertion `marker == 0' failed.\n" });
    const shown = recordOf(death);
    expect(shown.attributes['exception.message']).toBe("a.c:3: main: Assertion `marker == 0' failed.");
    const record = recordOf(death, { argumentsMode: 'off' });
    expect(JSON.stringify(record)).not.toContain('marker');
    expect(record.attributes).toMatchObject({
      'exception.message': 'aborted by itself',
      'whodunit.crash.reason': 'assertion',
    });
  });
});

it.each([
  ['python3', frames('PyEval@/usr/bin/python3.12'), 'Python'],
  ['a library', frames('f@/usr/lib/jvm/lib/server/libjvm.so'), 'Java'],
  ['node', frames('f@/usr/bin/node'), 'JavaScript'],
])('the native frames of an interpreter say so: %s', (_, stack, language) => {
  expect(interpreterEvidence(stack)).toContain(`of the ${language} interpreter`);
});

it('a guess is no evidence for an interpreter, nor is another program', () => {
  expect(interpreterEvidence(frames('!f@/usr/bin/node', 'f@/usr/bin/nodelike', 'main'))).toBeNull();
});

describe('the record of a crash', () => {
  it('says in one sentence why and where', () => {
    const its = { address: '0x18', error_code: 4 };
    expect(recordOf(faulted(11, 1, its)).body).toBe(
      'sleep (pid 4242) crashed with SIGSEGV (SEGV_MAPERR at 0x18) after 3.0 s: null dereference (read of p + 0x18), in leaf+0x1f (chain).',
    );
    expect(
      recordOf(aborted({ frames: frames(...ABORT, '__assert_fail@libc', 'f'), message: "f: Assertion `0' failed.\n" }))
        .body,
    ).toBe(
      "sleep (pid 4242) aborted (SIGABRT) after 3.0 s: an assertion failed: f: Assertion `0' failed, in f+0x1f (chain).",
    );
    const call = { syscall: 101, syscall_arch: 0xc000003e, instruction_pointer: '0x5' };
    const copy = { signo: 31, instruction_pointer: '0x5', frames: frames('ptrace@libc', 'f', 'main') };
    const refused = killedBy(31, { seccomp_mode: 3, fault: fault(31, 1, call), crash: crash(copy) });
    expect(recordOf(refused).body).toBe(
      'sleep (pid 4242) was killed by seccomp (SIGSYS) after 3.0 s: it called ptrace, in f+0x1f (chain).',
    );
    expect(recordOf(aborted(null)).body).toBe('sleep (pid 4242) aborted (SIGABRT), after 3.0 s.');
  });
});
