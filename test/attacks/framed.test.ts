// SPDX-License-Identifier: Apache-2.0
// A user tries to make a record name an innocent process of root as the sender of a signal, or a process that is long gone. The attacks
// are in attacker/framed.go. What sent each signal is known: the attacker made it so.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isTermination, type LogRecord } from '../../scripts/stack/otlp-file.ts';
import { ATTACKER, ATTACKER_32, freePorts, type Program, startProgram, until } from '../../scripts/stack/program.ts';
import { watched } from '../support/watched.ts';
import { awaitFirstLine, MALLORY, startAs } from './attacker.ts';

const REPORTED_WITHIN_MS = 60_000;
const OVER_WITHIN_MS = 60_000;
/** Enough races for each of today's faults to show: the timer framed the bystander in more than half of them. */
const RACES = 100;
const [SIGTERM, SIGKILL, SIGSEGV, SIGALRM, SIGIO, SIGUSR1, SIGPROF, SIGSYS] = [15, 9, 11, 14, 29, 10, 27, 31];
/** The name of each bystander, which runs as root. */
const INNOCENT = 'sshd';

const both = watched();
const place = { path: '' };
beforeAll(() => {
  place.path = mkdtempSync(join(tmpdir(), 'framed-'));
  startProgram('chmod', ['777', place.path]);
});
afterAll(() => rmSync(place.path, { recursive: true, force: true }));

/** A program that shares its processor with the other one of the attack. */
const pinned = (program: string, args: readonly string[]): string[] => ['taskset', '-c', '0', program, ...args];

const startAttack = (name: string, ...args: readonly (string | number)[]): Program => {
  const [program = '', ...rest] = pinned(ATTACKER, [name, ...args.map(String)]);
  return startAs(MALLORY, program, rest);
};

/** Runs `body` beside an innocent process of root. */
async function beside(args: readonly string[], body: (bystander: Program) => Promise<void>, program = ATTACKER) {
  const [first = '', ...rest] = pinned(program, ['bystander', INNOCENT, ...args]);
  const bystander = await awaitFirstLine(startProgram(first, rest));
  try {
    await body(bystander);
  } finally {
    bystander.child.kill('SIGKILL');
    await bystander.ended;
  }
}

/** The records of the attacker's children, when all have arrived. */
async function recordsOf(attack: Program, count: number): Promise<LogRecord[]> {
  const records = () =>
    both.collector.logs().filter((each) => isTermination(each) && each.resource['process.parent_pid'] === attack.pid);
  await until(
    `${count} records`,
    REPORTED_WITHIN_MS,
    () => records().length >= count || undefined,
    () => `${records().length} records\n${attack.output()}${both.whodunit.service.output()}`,
  );
  return records();
}

async function recordOf(program: Program): Promise<LogRecord> {
  const found = () =>
    both.collector
      .logs()
      .filter(isTermination)
      .find(
        ({ resource }) => resource['process.pid'] === program.pid && resource['process.parent_pid'] === process.pid,
      );
  return until('its record', REPORTED_WITHIN_MS, found, () => program.output());
}

/** Waits until the attack is over. One that waits for a signal in vain is killed. */
async function ended(attack: Program): Promise<void> {
  const timer = setTimeout(() => attack.child.kill('SIGKILL'), OVER_WITHIN_MS);
  const ending = await attack.ended;
  clearTimeout(timer);
  expect([ending, attack.output()]).toEqual([{ code: 0, signal: null }, expect.stringContaining('ready')]);
}

const kindOf = ({ attributes }: LogRecord) => attributes['whodunit.sender.kind'];
const evidenceOf = ({ attributes }: LogRecord) => (attributes['whodunit.evidence'] as readonly string[]).join('\n');
/** How often each value occurs. */
function tally<T>(values: readonly T[]): Map<T, number> {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

const on32Bit = describe.runIf(process.arch === 'x64');

describe('a timer beside an innocent process', () => {
  const timer = async (signo: number, kind: 'process' | 'thread', clock = 0): Promise<void> => {
    const attack = startAttack('timers', RACES, signo, clock, kind);
    await ended(attack);
    const records = await recordsOf(attack, RACES);
    // An interrupt may find the probe running for the innocent process's own signal: the kernel does not run it again, and counts that.
    const unseen = records.filter((each) => evidenceOf(each) === 'no signal was recorded');
    expect(unseen.map(kindOf)).toEqual(unseen.map(() => 'unknown'));
    expect(unseen.length).toBeLessThan(RACES / 10);
    const seen = records.filter((each) => !unseen.includes(each));
    expect(tally(seen.map(kindOf))).toEqual(new Map([['kernel', seen.length]]));
    expect(tally(seen.map(({ attributes }) => attributes['whodunit.cause']))).toEqual(
      new Map([['timer', seen.length]]),
    );
    for (const record of seen) expect(evidenceOf(record)).toContain('a POSIX timer (SI_TIMER)');
  };

  it.each(['pselect6', 'ppoll', 'kill', 'sigqueue', 'write'])('in %s names no sender', async (call) => {
    await beside(['spin', call], () => timer(SIGKILL, 'process'));
  });

  it.each([
    ['SIGTERM', SIGTERM],
    ['SIGALRM', SIGALRM],
    ['SIGPROF', SIGPROF],
    ['SIGIO', SIGIO],
  ])('with %s to a thread (SIGEV_THREAD_ID) names no sender', async (_, signo) => {
    await beside(['spin', 'pselect6'], () => timer(signo, 'thread'));
  });

  it.each(['pselect6', 'getrandom'])('on its CPU clock, in %s, names no sender', async (call) => {
    await beside(['spin', call], (bystander) => timer(SIGKILL, 'process', bystander.pid));
  });

  on32Bit('of 32 bits', () => {
    it.each(['pselect6', 'ppoll', 'getgid', 'kill', 'sigqueue'])('in %s names no sender', async (call) => {
      await beside(['spin', call], () => timer(SIGKILL, 'process'), ATTACKER_32);
    });
  });
});

describe('a notification that an innocent process triggers', () => {
  const NOTIFIED = 20;
  it.each([
    ['mqueue', SIGTERM, 'a message queue (mq_notify)'],
    ['mqueue', SIGKILL, 'a message queue (mq_notify)'],
    ['fifo', SIGIO, 'a descriptor (F_SETSIG)'],
    ['fifo', SIGKILL, 'a descriptor (F_SETSIG)'],
    ['fifo', SIGALRM, 'a descriptor (F_SETSIG)'],
    ['fifo', SIGSEGV, 'a descriptor (F_SETSIG)'],
    ['unix', SIGUSR1, 'a descriptor (F_SETSIG)'],
    ['udp', SIGTERM, 'a descriptor (F_SETSIG)'],
    ['directory', SIGKILL, 'a descriptor (F_SETSIG)'],
  ])(
    'of a %s, with signal %i, names no sender, but says what it was and who triggered it',
    async (kind, signo, what) => {
      const [port = 0] = await freePorts(1);
      const path =
        { mqueue: `framed-${process.pid}-${signo}`, udp: String(port) }[kind] ?? join(place.path, kind + signo);
      const attack = await awaitFirstLine(startAttack('notified', NOTIFIED, signo, kind, path));
      await beside(['use', kind, path], async (bystander) => {
        attack.child.stdin?.end('\n');
        await ended(attack);
        const records = await recordsOf(attack, NOTIFIED);
        expect(tally(records.map(kindOf))).toEqual(new Map([['kernel', NOTIFIED]]));
        const said = records.map(evidenceOf).filter((text) => text.includes(`a notification of ${what}`));
        expect(said.length).toBe(NOTIFIED);
        const triggered = said.filter((text) =>
          text.includes(`triggered by ${basename(ATTACKER)} (pid ${bystander.pid})`),
        );
        // Datagrams over loopback arrive in a software interrupt: who triggered it is not known.
        const others = said.filter((text) => !triggered.includes(text));
        if (kind !== 'udp') expect(others).toEqual([]);
      });
    },
  );
});

describe('a signal with a forged code', () => {
  const CODES = [-1, -2, -3, -4, -5, -7, -60, -100];

  it('names the process that sent it, whatever code it chose', async () => {
    const attack = startAttack('forge', SIGTERM, 'other', ...CODES);
    await ended(attack);
    for (const record of await recordsOf(attack, CODES.length)) {
      const { attributes } = record;
      expect([attributes['whodunit.cause'], attributes['whodunit.sender.pid']]).toEqual(['killed', attack.pid]);
      expect(evidenceOf(record)).toContain('sent with rt_sigqueueinfo(2) by ');
    }
  });

  it('names the process itself if it sent it to itself, even with a code of the kernel', async () => {
    const codes = [...CODES, -6, 0, 1, 6, 128];
    const attack = startAttack('forge', SIGTERM, 'itself', ...codes);
    await ended(attack);
    const records = await recordsOf(attack, codes.length);
    expect(records.map(({ attributes }) => [attributes['whodunit.cause'], attributes['whodunit.signal.code']])).toEqual(
      codes.map(() => ['self_signal', expect.anything()]),
    );
  });
});

describe('a fault that a process forges', () => {
  it.each([
    ['SIGSEGV', SIGSEGV],
    ['SIGSYS', SIGSYS],
  ])('%s is one that it sent to itself, not a crash and not seccomp', async (_, signo) => {
    const codes = [1, 2, 6, 128];
    const attack = startAttack('forge', signo, 'itself', ...codes);
    await ended(attack);
    const records = await recordsOf(attack, codes.length);
    expect(tally(records.map(({ attributes }) => attributes['whodunit.cause']))).toEqual(
      new Map([['self_signal', codes.length]]),
    );
  });
});

on32Bit('a process of 32 bits', () => {
  it('is named as the sender, with the call by its own table', async () => {
    const attack = startAs(MALLORY, ATTACKER_32, ['killer', String(SIGTERM)]);
    await ended(attack);
    const records = await recordsOf(attack, 2);
    expect(records.map(({ attributes }) => attributes['whodunit.sender.pid'])).toEqual([attack.pid, attack.pid]);
    expect(records.map((record) => /with (\w+\(2\)) by/.exec(evidenceOf(record))?.[1]).sort()).toEqual([
      'kill(2)',
      'tgkill(2)',
    ]);
  });
});

describe('what belongs to the program before an exec', () => {
  const replaced = (what: 'request' | 'fault', shell: string) =>
    awaitFirstLine(startAs(MALLORY, ATTACKER, ['replaced', what, shell]));

  it('a handled SIGTERM does not explain the exit of the next program', async () => {
    const program = await replaced('request', 'exit 3');
    program.child.kill('SIGTERM');
    const record = await recordOf(program);
    expect([record.attributes['whodunit.cause'], kindOf(record)]).toEqual(['exit', undefined]);
    expect(evidenceOf(record)).not.toContain('SIGTERM');
  });

  it('a handled SIGTERM is not the one that the next program raises', async () => {
    const program = await replaced('request', 'kill -TERM $$');
    program.child.kill('SIGTERM');
    const record = await recordOf(program);
    expect([record.attributes['whodunit.cause'], kindOf(record)]).toEqual(['self_signal', 'self']);
  });

  it('a handled fault is not the one that the next program raises', async () => {
    const record = await recordOf(await replaced('fault', 'kill -SEGV $$'));
    expect([record.attributes['whodunit.cause'], kindOf(record)]).toEqual(['self_signal', 'self']);
  });

  it('a signal that stayed blocked keeps its sender', async () => {
    const attack = startAs(MALLORY, ATTACKER, ['blocked']);
    await ended(attack);
    const [record] = await recordsOf(attack, 1);
    expect([record?.attributes['whodunit.cause'], record?.attributes['whodunit.sender.executable.name']]).toEqual([
      'killed',
      'kill',
    ]);
  });
});

describe('PR_SET_PDEATHSIG', () => {
  it('says that the parent lives if only its thread ended', async () => {
    const attack = startAs(MALLORY, ATTACKER, ['orphan', String(SIGTERM)]);
    try {
      await awaitFirstLine(attack);
      const [record] = await recordsOf(attack, 1);
      expect(record?.attributes['whodunit.cause']).toBe('parent_death');
      expect(record?.body).toMatch(/the thread of its parent, attacker \(pid \d+, .*, that started it ended/);
      expect(record && evidenceOf(record)).toContain('the parent process lives');
    } finally {
      attack.child.kill('SIGKILL');
    }
  });
});
