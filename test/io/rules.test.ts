// SPDX-License-Identifier: Apache-2.0
// The rules file, and the whole service with it: read at start, reloaded on SIGHUP, tried on recent terminations.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../scripts/stack/fake-loader.ts';
import { ROOT, temporaryDirectory } from '../../scripts/stack/program.ts';
import { FatalError } from '../../src/core/errors.ts';
import { readRules, renderRules } from '../../src/io/rules.ts';
import { death, type Running, startService } from '../support/service.ts';

const directory = temporaryDirectory();
const file = join(directory.path, 'whodunit.yaml');
const POLLS = 50;
const SLEEPERS = 'rules:\n  - name: sleepers\n    executable: sleep\n    action: count\n';

const running: Running[] = [];
const start = async (...given: Parameters<typeof startService>) => {
  const service = await startService(...given);
  running.push(service);
  return service;
};
beforeEach(() => writeFileSync(file, SLEEPERS));
afterEach(async () => {
  for (const service of running.splice(0)) await service.remove();
});
afterAll(directory.remove);

describe('a rules file', () => {
  const failure = async (path: string): Promise<FatalError> => {
    try {
      await readRules({ path, mode: 'default' });
    } catch (error) {
      if (error instanceof FatalError) return error;
    }
    throw new Error('it was accepted');
  };

  it('takes precedence over the built-in rules', async () => {
    expect(renderRules(await readRules({ path: file, mode: 'default' }))).toMatch(
      /^ {3}1 {2}count {3}sleepers\n {3}2 {2}ignore/,
    );
  });

  it.each([
    [
      'rules:\n  - name: a\n    action: drop\n',
      /^rules\[0\]\.action in .* is "drop"; allowed: report, count, ignore\./,
    ],
    ['rules: [\n', /whodunit\.yaml is not valid YAML: .* at line 2, column 1.*\. Correct that line\.$/],
    ['a: &a [1]\nrules: [*b]\n', /whodunit\.yaml is not valid YAML: Unresolved alias/],
    [
      `a: &a [1,1,1,1,1]\nb: &b [${'*a,'.repeat(60)}]\nrules: [${'*b,'.repeat(60)}]\n`,
      /is not valid YAML: Excessive alias/,
    ],
    [`rules: ${'['.repeat(20_000)}`, /whodunit\.yaml is not valid YAML: /],
    [`rules: ${'x'.repeat(1_048_576)}`, /allowed: a file of at most 1048576 bytes\./],
  ])('that is invalid is rejected with exit code 78: %#', async (text, message) => {
    writeFileSync(file, text);
    expect(await failure(file)).toMatchObject({ exitCode: 78, message: expect.stringMatching(message) });
  });

  it('in otel-config/ (the example) is valid', async () => {
    const rules = await readRules({ path: join(ROOT, 'otel-config/rules.yaml'), mode: 'default' });
    expect(rules.length - (await readRules({ path: null, mode: 'default' })).length).toBe(4);
  });

  it('that does not exist is rejected', async () => {
    rmSync(file);
    expect((await failure(file)).message).toContain('Reading it failed with ENOENT');
  });
});

describe('whodunit run', () => {
  it('reloads the rules on SIGHUP, and keeps the previous rules if the file is invalid', async () => {
    const service = await start(['run', '--rules', file, '--output', 'json'], { WHODUNIT_REPORT: 'default' });
    const printedAfter = async (seq: number): Promise<number> => {
      service.loader.send(death('death-exit-3', seq));
      await until(() => service.loader.acks().includes(BigInt(seq)), 'the ack');
      return service.out().split('\n').length - 1;
    };
    expect(await printedAfter(10)).toBe(0);
    writeFileSync(file, 'rules: none\n');
    service.child.kill('SIGHUP');
    await until(() => service.err().includes('The previous rules still apply.'), 'the log line for the invalid file');
    expect(service.err()).toContain('rules in');
    expect(await printedAfter(20)).toBe(0);
    writeFileSync(file, 'rules: []\n');
    service.child.kill('SIGHUP');
    await until(
      () => service.err().includes('11 rules, including the built-in ones'),
      'the log line for the valid file',
    );
    expect(await printedAfter(30)).toBe(1);
    expect(await service.stop()).toBe(0);
  });

  it('exits with 78 and one line if the file is invalid', async () => {
    writeFileSync(file, 'rules:\n  - action: count\n');
    const service = await start(['run', '--rules', file]);
    expect(await service.ended()).toBe(78);
    expect(service.err()).toMatch(/^\S+Z ERROR whodunit: rules\[0\]\.name in .* is "missing"; .*\n$/);
  });
});

describe('whodunit filters', () => {
  it('lists the rules that apply, also as JSON', async () => {
    const listed = await start(['filters', '--rules', file, '--output', 'json']);
    expect(await listed.ended()).toBe(0);
    expect(JSON.parse(listed.out())[0]).toEqual({ name: 'sleepers', action: 'count' });
  });
});

describe('whodunit filters test', () => {
  const state = temporaryDirectory();
  afterAll(state.remove);
  const test = async (path: string, ...more: string[]) => {
    const tried = await start(['filters', 'test', path, '--state-dir', state.path, ...more], {
      WHODUNIT_REPORT: 'default',
    });
    return { code: await tried.ended(), out: tried.out(), err: tried.err() };
  };

  it('says which records would go and which terminations would come, while the service runs and after it was stopped', async () => {
    const [none, own] = [join(directory.path, 'none.yaml'), join(directory.path, 'own.yaml')];
    writeFileSync(none, 'rules: []\n');
    writeFileSync(own, 'rules:\n  - name: only three\n    executable: sleep\n    exit_code: 3\n    action: count\n');
    const service = await start(['run', '--rules', own], {
      WHODUNIT_REPORT: 'default',
      WHODUNIT_STATE_DIR: state.path,
    });
    service.loader.send(death('death-exit-3', 10), death('death-segfault', 20));
    await until(() => service.loader.acks().includes(20n), 'the ack');
    for (const when of ['while it runs', 'after it was stopped']) {
      if (when !== 'while it runs') expect(await service.stop()).toBe(0);
      let come = await test(none);
      // A row is in the file a second later.
      for (let left = POLLS; come.code !== 0 && left > 0; left -= 1) come = await test(none);
      expect(come.out).toMatch(/^0 of 1 records would go\.\n1 of 1 terminations without a record would come; 0 would/);
      expect(come.out).toMatch(
        /^come {2}2026-11-23 \d\d:35:45 {2}sleep \(10\) +exit 3 +report +ran for more than 10 s \(was: only three\)$/m,
      );
      const go = await test(file);
      expect(go.out).toMatch(/^1 of 1 records would go\.\n0 of 1 terminations/);
      expect(go.out).toMatch(/^go {4}2026-11-23 \d\d:35:45 {2}sleep \(20\) +fault SIGSEGV +count +sleepers$/m);
    }
    const json = JSON.parse((await test(file, '--output', 'json')).out);
    expect(json).toMatchObject({ records: 1, unreported: 1, go: [{ rule: 'sleepers', pid: 20 }], come: [], left: [] });
    expect(await test(own)).toMatchObject({ code: 1, out: expect.stringContaining('0 of 1 records would go') });
  });

  it('exits with 2 and one line if the file is invalid, or there is no history', async () => {
    writeFileSync(file, 'rules: none\n');
    expect(await test(file)).toMatchObject({ code: 2, err: expect.stringMatching(/^whodunit: rules in .*\n$/) });
    const none = await start(['filters', 'test', '--state-dir', join(directory.path, 'none')]);
    expect(await none.ended()).toBe(2);
    expect(none.err()).toContain('There is no history in');
  });
});
