// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { renderJson, renderText, wantsColour } from '../../src/io/console.ts';
import { recordOf } from '../support/circumstances.ts';
import { faulted, frames } from '../support/crashes.ts';
import { exitedWith, kernelSignal, killedBy, oom, signal, victim } from '../support/deadly.ts';

describe('--output text', () => {
  it('shows when, what, why, who, where, and the evidence', () => {
    const report = renderText(recordOf(killedBy(9, { signal: signal(9) })), false);
    expect(report.split('\n').map((line) => line.replace(/\d\d:\d\d:\d\d\.\d+ [+-]\d\d:\d\d/, 'TIME'))).toEqual([
      '✖ sleep (pid 4242) was killed by SIGKILL, sent by bash (pid 99, alice) ← sshd ← systemd, after 3.0 s.',
      expect.stringMatching(/^ {2}when {6}2026-11-2\d TIME · ran for 3\.0 s$/),
      '  what      /usr/bin/sleep · pid 4242 · parent 99 · user alice',
      '  why       killed · SIGKILL SI_USER · 1 ms from signal to termination',
      '  who       bash (pid 99, alice) ← sshd(80) ← systemd(1) · bash -l',
      '  where     session-3.scope · /user.slice/user-1000.slice/session-3.scope · web-1',
      '  command   sleep 100',
      '  evidence  sent with kill(2) by bash (pid 99), SI_USER',
      '',
      '',
    ]);
  });

  it('shows memory sizes for an OOM kill', () => {
    const report = renderText(recordOf(killedBy(9, { signal: kernelSignal(9), oom_victim: true, oom: oom() })), false);
    expect(report).toContain(
      '  memory    limit 32 MiB · anonymous 32 MiB · file 1 MiB · shared 0 B · virtual 100 MiB · /demo\n',
    );
  });

  it('shows the stack of a crash, the innermost lines', () => {
    const copy = { frames: frames('leaf', ...Array.from({ length: 20 }, (_, at) => `f${at}`), 'main') };
    const lines = renderText(recordOf(faulted(11, 1, {}, copy)), false).split('\n');
    const from = lines.indexOf('  stack     #0 leaf+0x1f (chain)');
    expect(lines.slice(from + 1, from + 3)).toEqual([
      `  ${' '.repeat(10)}#1 f0+0x1f (chain)`,
      `  ${' '.repeat(10)}#2 f1+0x1f (chain)`,
    ]);
    expect(lines.at(-3)).toBe(`  ${' '.repeat(10)}… 10 more lines`);
  });

  it('escapes control characters that come from the process', () => {
    const process = victim({ exe: null, comm: 'a\u001b[2Jb', args: ['x\r\n\u202e'] });
    const report = renderText(recordOf(exitedWith(1, { process })), false);
    expect(report).toContain('✖ a\\u001b[2Jb (pid 4242)');
    expect(report).toContain('x\\u000d\\u000a\\u202e');
  });

  it('colours the first line by severity, if enabled', () => {
    expect(renderText(recordOf(exitedWith(1)), true)).toMatch(/^\u001b\[31m✖ .*\u001b\[0m\n/);
    expect(renderText(recordOf(exitedWith(1)), false)).not.toContain('\u001b');
  });

  it.each([
    [{ isTTY: true }, {}, true],
    [{ isTTY: true }, { NO_COLOR: '1' }, false],
    [{ isTTY: true }, { TERM: 'dumb' }, false],
    [{}, {}, false],
  ])('colour on %j with %j: %s', (stream, env, wanted) => {
    expect(wantsColour(stream, env)).toBe(wanted);
  });
});

describe('--output json', () => {
  it('prints the whole record and its resource on one line', () => {
    const record = recordOf(killedBy(9, { signal: signal(9) }));
    const text = renderJson(record);
    expect(text.indexOf('\n')).toBe(text.length - 1);
    expect(JSON.parse(text)).toEqual({
      timestamp_ns: '1795443012123456789',
      observed_timestamp_ns: '1795455345900000001',
      event_name: 'whodunit.process.termination',
      severity_number: 17,
      severity_text: 'ERROR',
      body: record.body,
      attributes: record.attributes,
      resource: { attributes: record.resource.attributes, schema_url: 'https://opentelemetry.io/schemas/1.45.0' },
      scope: { name: 'whodunit', version: '0.1.0', schema_url: 'https://opentelemetry.io/schemas/1.45.0' },
    });
  });

  it('includes the trace if the record has one', () => {
    const process = victim({ env: { TRACEPARENT: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' } });
    expect(JSON.parse(renderJson(recordOf(exitedWith(1, { process }))))).toMatchObject({
      trace_id: '4bf92f3577b34da6a3ce929d0e0e4736',
      span_id: '00f067aa0ba902b7',
      trace_flags: 1,
    });
  });
});
