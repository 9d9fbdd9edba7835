// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { renderer, renderJson, wantsColour } from '../../src/io/console.ts';
import { recordOf } from '../support/circumstances.ts';
import { exitedWith, killedBy, signal, victim } from '../support/deadly.ts';

const record = recordOf(killedBy(9, { signal: signal(9) }));
const [headline, ...lines] = renderer('report', {}, {})(record).trimEnd().split('\n');

describe('--output text', () => {
  it('is a report on a terminal, and one line for a log', () => {
    const onTerminal = renderer('text', { isTTY: true }, { NO_COLOR: '1' })(record);
    expect(onTerminal.trimEnd().split('\n')).toEqual([headline, ...lines]);
    expect(lines.length).toBeGreaterThan(3);
    const inLog = renderer('text', {}, {})(record);
    expect(inLog.indexOf('\n')).toBe(inLog.length - 1);
    expect(inLog).toContain(headline?.slice(2, -1));
  });

  it('is coloured only on a terminal', () => {
    expect(renderer('text', { isTTY: true }, {})(record)).toContain('\u001b');
    for (const form of ['text', 'report'] as const) expect(renderer(form, {}, {})(record)).not.toContain('\u001b');
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

  it('controls no terminal, and has each character of a hostile name', () => {
    const args = ['web', '\u001b[2J\u007f\u009b2J\u202e\u2028\u200b\u{e0041}\ufeff'];
    const text = renderJson(recordOf(exitedWith(1, { process: victim({ args }) })));
    expect(text).not.toMatch(/[^\P{C}\n]|[\u2028\u2029]/u);
    expect(JSON.parse(text).resource.attributes['process.command_args']).toEqual(args);
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
