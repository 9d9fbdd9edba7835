// SPDX-License-Identifier: Apache-2.0
// A user fills what the probes remember of signals to living processes: thousands that ignore SIGTERM and stay. What happens to others, and
// what is committed, must still be known; what is not kept is counted, and the records say so.
import { describe, expect, it } from 'vitest';
import type { LogRecord } from '../../scripts/stack/otlp-file.ts';
import { ATTACKER, MORTAL, type Program, startProgram, until } from '../../scripts/stack/program.ts';
import { watched } from '../support/watched.ts';
import { ALICE, awaitFirstLine, MALLORY, startAs } from './attacker.ts';

const REPORTED_WITHIN_MS = 120_000;
/** As many processes as the probes remember. */
const CROWD = 8192;
const FULL = 'the memory for signals was full for its user';

const both = watched({ WHODUNIT_RECORDS_PER_MINUTE: 'off' });
const diagnostics = () => `${both.whodunit.loader.output()}${both.whodunit.service.output()}`;
const evidenceOf = ({ attributes }: LogRecord): string => String(attributes['whodunit.evidence']);

/** The last record of that pid: pids are reused. */
function recordOf({ pid, sinceNs }: { pid: number; sinceNs: bigint }): Promise<LogRecord> {
  const isOurs = ({ resource, timeUnixNs }: LogRecord) => resource['process.pid'] === pid && timeUnixNs >= sinceNs;
  return until(`the record of ${pid}`, REPORTED_WITHIN_MS, () => both.collector.logs().find(isOurs), diagnostics);
}

const nowNs = () => BigInt(Date.now()) * 1_000_000n;

function start(uid: number, program: string, args: readonly string[]) {
  const sinceNs = nowNs();
  return { sinceNs, ...startAs(uid, program, args) };
}

/** A process of `uid` that is sent SIGTERM by one of root, handles it and exits with code 3. */
async function obeys(uid: number): Promise<LogRecord> {
  const victim = start(uid, ATTACKER, ['obey', '3']);
  await awaitFirstLine(victim);
  await finished(startProgram(ATTACKER, ['send', String(victim.pid)]));
  await until('the request', REPORTED_WITHIN_MS, () => victim.stdout().includes('asked') || undefined);
  await finished(victim);
  return recordOf(victim);
}

/** A process of `uid` that one of root kills. */
async function isKilled(uid: number): Promise<LogRecord> {
  const victim = start(uid, ATTACKER, ['wait']);
  await awaitFirstLine(victim);
  await finished(startProgram('sh', ['-c', 'kill -KILL "$0"', String(victim.pid)]));
  await victim.ended;
  return recordOf(victim);
}

async function crashes(uid: number): Promise<LogRecord> {
  const victim = start(uid, MORTAL, ['segfault']);
  await victim.ended;
  return recordOf(victim);
}

async function finished(program: Program): Promise<void> {
  program.child.stdin?.end();
  await program.ended;
}

async function factsLost(): Promise<number> {
  const status = await (await fetch(`http://${both.whodunit.at.health}/status`)).json();
  return (status as { ring: { facts_lost: number } }).ring.facts_lost;
}

describe.each(['self', 'other'])('a user holds 8,192 processes that ignored a SIGTERM (sent by: %s)', (sender) => {
  it('and everything else is known as before; what was not kept is counted and said', async () => {
    const before = await factsLost();
    const crowd = await awaitFirstLine(startAs(MALLORY, ATTACKER, ['hoard', String(CROWD), sender]));
    try {
      expect(Number(crowd.stdout())).toBe(CROWD);
      for (const uid of [0, ALICE]) {
        const { attributes } = await obeys(uid);
        expect(attributes).toMatchObject({ 'whodunit.cause': 'exit', 'whodunit.sender.executable.path': ATTACKER });
      }
      for (const uid of [ALICE, MALLORY]) {
        expect((await isKilled(uid)).attributes).toMatchObject({
          'whodunit.cause': 'killed',
          'whodunit.sender.user.id': 0,
          'whodunit.sender.executable.path': expect.stringMatching(/sh$/),
        });
        const crash = await crashes(uid);
        expect(crash.attributes['whodunit.cause']).toBe('fault');
        expect(evidenceOf(crash)).not.toContain(FULL);
      }
      const refused = await obeysItself();
      expect(evidenceOf(refused)).toContain(`${FULL} (uid ${MALLORY}) since it started`);
      await until('the count', REPORTED_WITHIN_MS, async () => (await factsLost()) > before || undefined, diagnostics);
      await until('the metric', REPORTED_WITHIN_MS, () => metric(before), diagnostics);
      expect(both.whodunit.loader.output()).toContain(`most of them of user ${MALLORY}`);
    } finally {
      await finished(crowd);
    }
  });
});

/** A process of MALLORY that ignores a SIGTERM, of which there is no memory left, and exits with code 3. */
async function obeysItself(): Promise<LogRecord> {
  const victim = start(MALLORY, 'sh', ['-c', "trap '' TERM; kill $$; exit 3"]);
  await victim.ended;
  return recordOf(victim);
}

function metric(before: number): number | undefined {
  const points = both.collector.metrics().filter(({ name }) => name === 'whodunit.facts.lost');
  return points.map(({ value }) => value).find((value) => value > before);
}
