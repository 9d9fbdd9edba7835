// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Death, Message } from '../../../src/core/wire/event.ts';
import {
  type Decoded,
  Decoder,
  encodeAck,
  encodeArm,
  encodeCounted,
  LINE_BYTES_MAX,
} from '../../../src/core/wire/wire.ts';

const directory = new URL('../../wire/', import.meta.url);
const FROM_SERVICE = new Set(['ack.json', 'arm.json', 'counted.json']);
const fromLoader = readdirSync(directory).filter((name) => name.endsWith('.json') && !FROM_SERVICE.has(name));
const bytes = (name: string): Buffer => readFileSync(new URL(name, directory));

function decode(...chunks: Uint8Array[]): Decoded[] {
  const decoder = new Decoder();
  return chunks.flatMap((chunk) => decoder.push(chunk));
}

function one(text: string): Decoded {
  const results = decode(Buffer.from(text));
  expect(results).toHaveLength(1);
  return results[0] as Decoded;
}

function message(name: string): Message {
  const [decoded] = decode(bytes(name));
  if (decoded?.ok !== true) throw new Error(`${name} was not read: ${JSON.stringify(decoded)}`);
  return decoded.message;
}

const code = (decoded: Decoded | undefined): string =>
  decoded === undefined ? 'nothing' : decoded.ok ? 'ok' : decoded.error.code;

describe('golden lines', () => {
  it.each(fromLoader)('reads %s', (name) => {
    expect(decode(bytes(name))).toEqual([{ ok: true, message: expect.objectContaining({ type: expect.any(String) }) }]);
  });

  it('are written as the loader reads them', () => {
    const key = `${'00'.repeat(87)}ff`;
    expect(encodeArm(key, 'filtered', 12_345_678_901_234n)).toBe(bytes('arm.json').toString());
    expect(encodeCounted(12_345_678_901_234n, 0xffff_ffff_ffff_ffffn)).toBe(bytes('counted.json').toString());
  });

  it('reads the key of equal terminations, and none in lines of older loaders', () => {
    const line = bytes('death-exit-3.json').toString();
    expect(one(line)).toMatchObject({ message: { repeat: { key: expect.any(String), file: true, claims: true } } });
    const older = line.replace(/,"repeat":\{[^}]*\}/, '');
    expect(older).not.toContain('repeat');
    expect(one(older)).toMatchObject({ ok: true, message: { repeat: null } });
    const status = bytes('status.json').toString().replace(',"counted":"3"', '');
    expect(one(status)).toMatchObject({ ok: true, message: { counted: 0n } });
  });

  it('reads a 64-bit position exactly', () => {
    expect((message('death-exit-3.json') as Death).seq).toBe(18_446_744_073_709_551_608n);
  });

  it('reads bytes that are not UTF-8 in their escaped form', () => {
    const { process } = message('death-bytes-that-are-not-utf8.json') as Death;
    expect(process.comm).toBe('a\\xffb');
    expect(process.args).toEqual(['x\\x80', 'ü', '\u0001\n"']);
  });

  it('reads null as not known', () => {
    const { process, signal, threads } = message('death-nothing-known.json') as Death;
    expect([process.exe, process.args, process.env, process.cgroup, signal, threads]).toEqual([
      null,
      null,
      null,
      null,
      null,
      0,
    ]);
  });

  it('reads the context of the thread, and null if an older loader omits the key', () => {
    const { thread_context } = message('death-segfault.json') as Death;
    expect(thread_context).toEqual({
      trace_id: '4bf92f3577b34da6a3ce929d0e0e4736',
      span_id: '00f067aa0ba902b7',
      trace_flags: 1,
      attributes: 'AANHRVQ=',
    });
    const withoutAttributes = bytes('death-segfault.json').toString().replace(',"attributes":"AANHRVQ="', '');
    expect(one(withoutAttributes)).toMatchObject({ ok: true, message: { thread_context: { attributes: null } } });
    const older = bytes('death-exit-3.json').toString().replace(',"thread_context":null', '');
    expect(one(older)).toMatchObject({ ok: true, message: { thread_context: null } });
    expect(older).not.toContain('thread_context');
  });

  it('reads the host names of victim and sender, and null if an older loader omits the key', () => {
    const { process, signal } = message('death-sigkill-by-another.json') as Death;
    expect([process.uts_hostname, signal?.sender.uts_hostname]).toEqual(['db-0', 'ops-1']);
    const older = bytes('death-exit-3.json').toString().replace(',"uts_hostname":null', '');
    expect(older).not.toContain('uts_hostname');
    expect(one(older)).toMatchObject({ ok: true, message: { process: { uts_hostname: null } } });
  });

  it('reads the origin, and one for all in lines of older loaders', () => {
    const line = bytes('death-exit-3.json').toString();
    expect(one(line)).toMatchObject({ message: { origin: { cgroup: 2113n, uid: 1000 } } });
    const older = line.replace('"origin":{"cgroup":"2113","uid":1000},', '');
    expect(older).not.toContain('origin');
    expect(one(older)).toMatchObject({ ok: true, message: { origin: { cgroup: 0n, uid: 0xffff_ffff } } });
  });

  it('reads the table of a system call, and whether the process of a sender lives, as not known in lines of older loaders', () => {
    const older = bytes('death-sigkill-by-another.json')
      .toString()
      .replace(',"syscall_arch":3221225534', '')
      .replace(',"process_lives":false', '');
    expect(older).not.toMatch(/syscall_arch":[^n]|process_lives/);
    expect(one(older)).toMatchObject({
      ok: true,
      message: { signal: { syscall_arch: null, sender: { process_lives: false } } },
    });
  });

  it('reads every field of a fatal signal and of its sender', () => {
    const { signal } = message('death-sigkill-by-another.json') as Death;
    expect(signal).toMatchObject({
      signo: 9,
      code: 0,
      info: 'siginfo',
      committed: true,
      syscall: 62,
      syscall_arch: 0xc000003e,
      time_ns: 12_345_678_000_000n,
    });
    expect(signal?.sender).toMatchObject({ pid: 99, comm: 'bash', exe: '/usr/bin/bash', args: ['bash', '-l'] });
  });

  it('reads the programs of ancestors, the session and the environment of a sender, and lines of older loaders without them', () => {
    const line = bytes('death-sigkill-by-another.json').toString();
    expect(one(line)).toMatchObject({
      message: {
        process: {
          session: 3,
          ancestors: [{ comm: 'bash', exe: '/usr/bin/bash', args: ['bash', '-l'], uid: 1000 }, {}, {}],
        },
        signal: { sender: { session: 3, env: { SUDO_USER: 'alice' } } },
      },
    });
    const older = line.replace(/,"session":3/g, '').replace(/"env":\{"SSH[^}]*\},/, '');
    expect(one(older)).toMatchObject({
      ok: true,
      message: { process: { session: null }, signal: { sender: { session: null, env: null } } },
    });
  });

  it('reads a request and its end', () => {
    expect(message('request-systemctl-stop.json')).toMatchObject({
      tool: 'systemctl',
      script: null,
      file_owner: 0,
      process: {
        pid: 4300,
        args: ['systemctl', 'stop', 'web'],
        login_uid: 1000,
        session: 3,
        env: { SUDO_USER: 'alice' },
      },
    });
    expect(message('request-by-a-script.json')).toMatchObject({ script: '/usr/bin/supervisorctl', file_owner: null });
    expect(message('request_end.json')).toMatchObject({ pid: 4300, status_raw: 256 });
  });

  it('reads a gap, and that there was one before the loader', () => {
    expect(message('gap.json')).toMatchObject({
      seq: 12_480n,
      from_ns: 12_345_678_901_234n,
      time_ns: 12_350_000_000_000n,
    });
    expect(message('hello.json')).toMatchObject({
      gap: { from_ns: 12_345_678_901_234n, to_ns: 12_350_000_000_000n },
    });
  });

  it('reads the sizes of the out-of-memory killer', () => {
    expect((message('death-oom.json') as Death).oom).toMatchObject({
      anon_rss: 33_554_432n,
      limit: 33_554_432n,
      cgroup: '/demo',
    });
  });

  it('reads hello, status and error', () => {
    expect(message('hello.json')).toMatchObject({ role: 'watcher', ring_bytes: 8_388_608 });
    expect(message('status.json')).toMatchObject({
      exits_normal: 100_000n,
      lost: { ring_full: 7n },
      lost_by_origin: [{ deaths: 7n }],
    });
    expect(message('error.json')).toMatchObject({ code: 'CONSUMER_TAKEN' });
  });

  it('writes an ack as the golden line', () => {
    expect(encodeAck(4096n)).toBe(bytes('ack.json').toString());
  });
});

describe('the messages do not depend on the chunks', () => {
  const whole = Buffer.concat([
    bytes('hello.json'),
    bytes('death-oom.json'),
    Buffer.from('garbage\n\n{"v":2,"type":"death","seq":"7"}\n'),
    Buffer.from(`{"v":1,"type":"death","seq":"8",${'x'.repeat(LINE_BYTES_MAX)}\n`),
    bytes('death-bytes-that-are-not-utf8.json'),
    bytes('status.json'),
  ]);
  const expected = decode(whole);

  it('reads six good and bad lines in order', () => {
    const codes = ['ok', 'ok', 'WIRE_NOT_JSON', 'WIRE_NOT_JSON', 'WIRE_VERSION', 'WIRE_LINE_TOO_LONG', 'ok', 'ok'];
    expect(expected.map(code)).toEqual(codes);
  });

  it('for random cuts', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: whole.length }), { maxLength: 30 }), (cuts) => {
        const borders = [0, ...cuts.sort((a, b) => a - b), whole.length];
        const chunks = borders.slice(1).map((to, index) => whole.subarray(borders[index], to));
        expect(decode(...chunks)).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  it('for single bytes', () => {
    const line = bytes('death-segfault.json');
    expect(decode(...Array.from(line, (_, at) => line.subarray(at, at + 1)))).toEqual(decode(line));
  });
});

describe('bad lines', () => {
  it('never throw, for any bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (chunks) => {
        const decoder = new Decoder();
        for (const decoded of [...chunks.flatMap((chunk) => decoder.push(chunk)), ...decoder.end()])
          expect(code(decoded)).toMatch(/^WIRE_/);
      }),
    );
  });

  it('never throw, for arbitrary JSON or an event with parts replaced', () => {
    const golden = JSON.parse(bytes('death-sigkill-by-another.json').toString());
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(golden)), fc.jsonValue(), (key, value) => {
        const [decoded] = decode(Buffer.from(`${JSON.stringify({ ...golden, [key]: value })}\n`));
        expect(code(decoded)).toMatch(/^(ok|WIRE_.*)$/);
      }),
    );
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(code(one(`${JSON.stringify(value)}\n`))).toMatch(/^WIRE_/);
      }),
    );
  });

  it.each([
    ['another version', '{"v":2,"type":"hello"}\n', 'WIRE_VERSION'],
    ['no version', '{"type":"hello"}\n', 'WIRE_VERSION'],
    ['an unknown type', '{"v":1,"type":"birth"}\n', 'WIRE_TYPE'],
    ['a type that is an inherited property', '{"v":1,"type":"constructor"}\n', 'WIRE_TYPE'],
    ['a missing key', '{"v":1,"type":"error","code":"X"}\n', 'WIRE_SCHEMA'],
    ['a number instead of a string', '{"v":1,"type":"error","code":1,"message":""}\n', 'WIRE_SCHEMA'],
    ['an array', '[1]\n', 'WIRE_SCHEMA'],
    ['garbage', 'hello?\n', 'WIRE_NOT_JSON'],
    ['an empty line', '\n', 'WIRE_NOT_JSON'],
    ['a byte order mark', '\uFEFF{"v":1}\n', 'WIRE_NOT_JSON'],
  ])('reports %s', (_, text, expected) => {
    expect(code(one(text))).toBe(expected);
  });

  it('names the field that is wrong', () => {
    const golden = JSON.parse(bytes('death-exit-3.json').toString());
    golden.process.pid = '4242';
    const decoded = one(`${JSON.stringify(golden)}\n`);
    expect(decoded.ok ? '' : decoded.error.message).toContain('process.pid');
  });

  it('ignores keys that it does not know', () => {
    const golden = JSON.parse(bytes('status.json').toString());
    expect(code(one(`${JSON.stringify({ ...golden, mood: 'fine' })}\n`))).toBe('ok');
  });

  it('report a termination that is lost with its line, and its position', () => {
    const decoded = one('{"v":1,"type":"death","seq":"4711","broken":true}\n');
    expect(decoded).toMatchObject({ ok: false, error: { lostTermination: true, seq: 4711n } });
  });

  it('include bytes that are not UTF-8', () => {
    expect(code(decode(Buffer.from([0x7b, 0xff, 0x7d, 0x0a]))[0])).toBe('WIRE_NOT_JSON');
  });
});

describe('the line limit', () => {
  const padded = (length: number): Buffer => {
    const empty = JSON.stringify({ v: 1, type: 'error', code: '', message: '' });
    return Buffer.from(
      `${JSON.stringify({ v: 1, type: 'error', code: '', message: 'm'.repeat(length - empty.length - 1) })}\n`,
    );
  };

  it('reads a line of exactly the limit, its newline included', () => {
    expect(padded(LINE_BYTES_MAX)).toHaveLength(LINE_BYTES_MAX);
    expect(decode(padded(LINE_BYTES_MAX)).map(code)).toEqual(['ok']);
  });

  it('skips a line that is one byte longer, and reads the next', () => {
    expect(decode(padded(LINE_BYTES_MAX + 1), bytes('status.json')).map(code)).toEqual(['WIRE_LINE_TOO_LONG', 'ok']);
  });

  it('reports an over-long line once, however long it is', () => {
    const chunk = Buffer.alloc(100_000, 'x');
    expect(decode(chunk, chunk, chunk, Buffer.from('\n'), bytes('status.json')).map(code)).toEqual([
      'WIRE_LINE_TOO_LONG',
      'ok',
    ]);
  });

  it('reports a half line at the end of the stream', () => {
    const decoder = new Decoder();
    expect(decoder.push(bytes('status.json').subarray(0, 50))).toEqual([]);
    expect(decoder.end().map(code)).toEqual(['WIRE_HALF_LINE']);
    expect(decoder.end()).toEqual([]);
  });
});
