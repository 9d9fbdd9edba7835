// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { type CallFrame, sharesOfCpuProfile, sharesOfPerfReport, sharesOfPerfScript } from '../../bench/profile.ts';

const node = (id: number, url: string, functionName = 'f', lineNumber = 0) => ({
  id,
  callFrame: { functionName, url, lineNumber, columnNumber: 0 },
});
/** The sources of a bundle, by line. */
const SOURCES = [
  '../node_modules/@opentelemetry/a/node_modules/@opentelemetry/b/build/index.js',
  '../node_modules/zod/v4/core.js',
  '../src/core/wire/wire.ts',
];

describe('a profile of V8', () => {
  it('is grouped by package, by our files, and by Node.js module, without idle time', () => {
    const profile = {
      nodes: [
        node(1, '', '(idle)'),
        node(2, 'file:///x/dist/main.js', 'f', 0),
        node(3, 'file:///x/dist/main.js', 'f', 1),
        node(4, 'file:///x/dist/main.js', 'f', 2),
        node(5, 'node:internal/streams/readable'),
        node(6, '', '(garbage collector)'),
        node(7, '', 'stringify'),
      ],
      samples: [1, 2, 2, 3, 4, 5, 6, 7],
      timeDeltas: [1_000, 10, 30, 20, 15, 10, 10, 5],
    };
    const sourceOf = ({ url, lineNumber }: CallFrame) =>
      url.startsWith('file:') ? (SOURCES[lineNumber] ?? null) : null;
    expect(sharesOfCpuProfile(profile, sourceOf)).toEqual([
      { name: '@opentelemetry/b', percent: 40 },
      { name: 'zod', percent: 20 },
      { name: 'src/core/wire/wire.ts', percent: 15 },
      { name: 'node:internal/streams', percent: 10 },
      { name: '(garbage collector)', percent: 10 },
      { name: 'builtins of V8', percent: 5 },
    ]);
  });
});

describe('a report of perf', () => {
  it('is grouped by symbol, and kernel symbols are marked', () => {
    // The output of perf 6.1, with its columns for IPC.
    const text = [
      '# Samples: 192  of event "cpu-clock"',
      '#',
      '    33.85%  [k] finish_task_switch.isra.0   -      -            ',
      '     2.08%  [.] reflect.Value.Field         -      -            ',
      '     1.56%  [.] main.(*session).readRing    -      -            ',
      '     1.30%  [.] 0x000000000008cc87    -      -            ',
      '     0.70%  [.] 0x00000000000563ac    -      -            ',
      '',
    ].join('\n');
    expect(sharesOfPerfReport(text)).toEqual([
      { name: 'finish_task_switch.isra.0 (kernel)', percent: 33.85 },
      { name: 'reflect.Value.Field', percent: 2.08 },
      { name: 'its own code and the runtime of Go', percent: 2 },
      { name: 'main.(*session).readRing', percent: 1.56 },
    ]);
  });
});

describe('the samples of perf', () => {
  it('are grouped by function of the BPF program', () => {
    // The output of perf 6.1.
    const sample = (...frames: string[]) => frames.map((frame) => `\tffffffffc0001234 ${frame}`).join('\n');
    const exit = ['bpf_prog_0123456789abcdef_on_exit', 'bpf_trace_run2', 'do_exit'];
    const text = [
      sample('copy_from_user', 'bpf_prog_00aabbccddeeff11_copy_user', 'bpf_prog_fedcba9876543210_append_args', ...exit),
      sample('bpf_prog_fedcba9876543210_append_args', ...exit),
      sample('bpf_ringbuf_output', ...exit),
      sample(...exit),
      sample('do_exit'),
      '',
    ].join('\n\n');
    expect(sharesOfPerfScript(text, 'on_exit')).toEqual([
      { name: 'append_args', percent: 50 },
      { name: 'bpf_ringbuf_output', percent: 25 },
      { name: 'on_exit itself', percent: 25 },
    ]);
  });
});
