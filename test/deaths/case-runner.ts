// SPDX-License-Identifier: Apache-2.0
// A whole whodunit and a real collector, and the cases that happen in front of them: each is checked against the collector's file.
// What the judgement is used for (a test, a score) is its caller's.
import { setTimeout as sleep } from 'node:timers/promises';
import { startCollector } from '../../scripts/stack/collector.ts';
import type { LogRecord } from '../../scripts/stack/otlp-file.ts';
import { MORTAL, until } from '../../scripts/stack/program.ts';
import { exportTo, loaderStatus, startWhodunit, type Whodunit } from '../../scripts/stack/whodunit.ts';
import type { Case } from './cases/case.ts';
import { checkCase, type Finding, invented } from './check.ts';
import { isAbout } from './compare.ts';
import { lives } from './living.ts';
import { type Death, runUndertaker } from './truth.ts';

/** A machine with much else to do takes its time; what comes in time costs nothing. */
const RECORD_WITHIN_MS = 60_000;
/** How long a second record of the same death, or one of no death, is given to come. */
const NO_RECORD_WITHIN_MS = 1_000;

/** What only shows when all is over. */
export interface Review {
  readonly doubled: readonly Death[];
  /** Records about no terminated process, about an exit with code 0 or a living process, or with the uid of another record. */
  readonly invented: readonly LogRecord[];
  /** By the loader's own count (docs/wire.md): `ring_full`, `memory_full`, `missed`, `undecodable`. */
  readonly lost: number;
}

export interface CaseRunner {
  readonly whodunit: Whodunit;
  /** Lets a case happen and waits for its records. Fails if the case cannot happen. */
  readonly run: (one: Case) => Promise<readonly Finding[]>;
  readonly review: () => Promise<Review>;
  /** Stops everything; says what did not end cleanly. */
  readonly close: () => Promise<readonly string[]>;
}

export async function startCaseRunner(): Promise<CaseRunner> {
  const collector = await startCollector();
  const whodunit = await startWhodunit(exportTo(collector, 'grpc')).catch(async (error: unknown) => {
    await collector.stop();
    throw error;
  });
  const checked: Finding[] = [];
  const discarded: Death[] = [];
  const failed: string[] = [];

  const run = async (one: Case): Promise<readonly Finding[]> => {
    const { deaths: truths, discarded: others } = await runUndertaker(one.id).catch((error: unknown) => {
      failed.push(one.id);
      throw error;
    });
    discarded.push(...others);
    const awaited = truths.slice(0, one.deaths.length);
    const came = () => awaited.every((truth) => collector.logs().some((record) => isAbout(truth, record)));
    // What does not come is the judgement's to say.
    await until('the records', RECORD_WITHIN_MS, () => came() || undefined).catch(() => {});
    const findings = checkCase(one, truths, collector.logs());
    checked.push(...findings);
    return findings;
  };

  const review = async (): Promise<Review> => {
    await sleep(NO_RECORD_WITHIN_MS);
    const records = collector.logs();
    const of = ({ truth }: Finding) => records.filter((record) => isAbout(truth, record));
    const uids = new Set<unknown>();
    const again = records.filter(({ attributes }) => {
      const known = uids.has(attributes['log.record.uid']);
      uids.add(attributes['log.record.uid']);
      return known;
    });
    const truths = [...checked.map(({ truth }) => truth), ...discarded];
    const isMortal = ({ resource }: LogRecord) => resource['process.executable.path'] === MORTAL;
    const unwanted = checked.filter(({ expected }) => expected === undefined).flatMap(of);
    const unseen = invented(records, truths, failed, isMortal);
    const { lost } = await loaderStatus(whodunit.at.socket);
    return {
      doubled: checked.filter((finding) => of(finding).length > 1).map(({ truth }) => truth),
      invented: [...new Set([...unwanted, ...again, ...records.filter(lives), ...unseen])],
      lost: Object.values(lost).reduce((sum, count) => sum + Number(count), 0),
    };
  };

  const close = async (): Promise<readonly string[]> => {
    const { service, loader, pinsLeft } = await whodunit.stop();
    await collector.stop();
    const complaints: string[] = [];
    for (const [name, { code, signal }] of Object.entries({ service, loader }))
      if (code !== 0) complaints.push(`the ${name} ended with ${signal ?? `code ${code}`}`);
    if (pinsLeft) complaints.push(`pins were left in ${whodunit.at.pinDir}`);
    return complaints;
  };

  return { whodunit, run, review, close };
}
