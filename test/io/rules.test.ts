// SPDX-License-Identifier: Apache-2.0
// The rules file, and the whole service with it: read at start, reloaded on SIGHUP, tried on recent terminations.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../scripts/stack/fake-loader.ts';
import { freePorts, ROOT, temporaryDirectory } from '../../scripts/stack/program.ts';
import { FatalError } from '../../src/core/errors.ts';
import { readRules, renderRules } from '../../src/io/rules.ts';
import { death, type Running, startService } from '../support/service.ts';

const directory = temporaryDirectory();
const file = join(directory.path, 'whodunit.yaml');
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
  const failure = (path: string): FatalError => {
    try {
      readRules({ path, mode: 'default' });
    } catch (error) {
      if (error instanceof FatalError) return error;
    }
    throw new Error('it was accepted');
  };

  it('takes precedence over the built-in rules', () => {
    expect(renderRules(readRules({ path: file, mode: 'default' }))).toMatch(
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
  ])('that is invalid is rejected with exit code 78: %#', (text, message) => {
    writeFileSync(file, text);
    expect(failure(file)).toMatchObject({ exitCode: 78, message: expect.stringMatching(message) });
  });

  it('in otel-config/ (the example) is valid', () => {
    const rules = readRules({ path: join(ROOT, 'otel-config/rules.yaml'), mode: 'default' });
    expect(rules.length - readRules({ path: null, mode: 'default' }).length).toBe(4);
  });

  it('that does not exist is rejected', () => {
    rmSync(file);
    expect(failure(file).message).toContain('Reading it failed with ENOENT');
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
    expect(service.err()).toMatch(/^whodunit: rules\[0\]\.name in .* is "missing"; .*\n$/);
  });
});

describe('whodunit rules --dry-run', () => {
  it('shows the rule that matches each recent termination, and where the running service decided differently', async () => {
    const [port] = await freePorts(1);
    const health = { WHODUNIT_HEALTH_ADDR: `127.0.0.1:${port}`, WHODUNIT_REPORT: 'default' };
    const service = await start(['run'], health);
    service.loader.send(death('death-exit-3', 10), death('death-segfault', 20));
    await until(() => service.loader.acks().includes(20n), 'the ack');
    const dry = await start(['rules', '--dry-run', '--rules', file], health);
    expect(await dry.ended()).toBe(0);
    expect(dry.out().split('\n')).toEqual([
      expect.stringMatching(
        /^2026-11-23T17:35:45\.\d+Z +count +sleep \(10\) +exit 3 +sleepers +\(was reported: ran for more than 10 s\)$/,
      ),
      expect.stringMatching(/count +sleep \(20\) +fault +sleepers +\(was reported: fault, kill or OOM, any process\)$/),
      '2 terminations: 0 report, 2 count, 0 ignore; 2 would be handled differently',
      '',
    ]);
    expect(await service.stop()).toBe(0);
  });

  it('receives no arguments with WHODUNIT_ARGUMENTS=off', async () => {
    const [port] = await freePorts(1);
    const service = await start(['run'], { WHODUNIT_HEALTH_ADDR: `127.0.0.1:${port}`, WHODUNIT_ARGUMENTS: 'off' });
    service.loader.send(death('death-exit-3', 10));
    await until(() => service.loader.acks().includes(10n), 'the ack');
    const recent = (await (await fetch(`http://127.0.0.1:${port}/recent`)).json()) as { subject: object }[];
    expect(recent).toMatchObject([{ pid: 10, subject: { service: 'checkout', arguments: null } }]);
    expect(await service.stop()).toBe(0);
  });

  it('exits with 1 and the remedy if no service answers', async () => {
    const [port] = await freePorts(1);
    const dry = await start(['rules', '--dry-run'], { WHODUNIT_HEALTH_ADDR: `127.0.0.1:${port}` });
    expect(await dry.ended()).toBe(1);
    expect(dry.err()).toContain('start `whodunit run` of this release, or set WHODUNIT_HEALTH_ADDR');
  });
});
