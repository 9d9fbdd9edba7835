// SPDX-License-Identifier: Apache-2.0
// Mutes on a real file: what the command writes, the rules of the service follow, until it expires.
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { firstMatch } from '../../src/core/filter/match.ts';
import { muteRule } from '../../src/core/filter/mutes.ts';
import type { Subject } from '../../src/core/filter/rules.ts';
import { Log } from '../../src/io/log.ts';
import { mute, mutesPath, readMutes } from '../../src/io/mutes.ts';
import { RulesInEffect } from '../../src/io/rules-in-effect.ts';

const HOUR = 3_600_000;
let stateDir: string;
let lines: string[];
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'whodunit-mutes-'));
  lines = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((_, done) => {
    (done as unknown as () => void)();
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(stateDir, { recursive: true });
});

const subject = (service: string): Subject => ({
  executable: ['/bin/x'],
  cgroup: null,
  container: null,
  unit: null,
  service,
  user: null,
  arguments: null,
  exitCode: null,
  signo: 9,
  cause: 'killed',
  uptimeSeconds: 1,
});
const service = (): Promise<RulesInEffect> =>
  RulesInEffect.read({ rules: { path: null, mode: 'default' }, stateDir }, new Log((line) => lines.push(line)));
const set = (name: string, forMs = HOUR) => mute({ stateDir, service: name, forMs, remove: false });

describe('a mute', () => {
  it('only counts the terminations of its service, exactly, also after a restart of whodunit', async () => {
    expect(await set('web*')).toBe(0);
    for (const rules of [await service(), await service()]) {
      expect(firstMatch(subject('web-1'), rules.current())).toMatchObject({ name: 'muted: web*', action: 'count' });
      expect(firstMatch(subject('db'), rules.current()).action).toBe('report');
      expect(rules.snapshot()).toMatchObject([{ service: 'web*', count: 1 }]);
    }
    expect(readdirSync(stateDir)).toEqual(['mutes.json']);
  });

  it('expires', () => {
    let now = 0;
    const rule = muteRule(
      { service: 'web', untilMs: 10 },
      () => now,
      () => {},
    );
    expect(rule.matches(subject('web'))).toBe(true);
    now = 10;
    expect(rule.matches(subject('web'))).toBe(false);
  });

  it('is replaced by a later one, listed, and removed', async () => {
    await set('web');
    await set('web', 2 * HOUR);
    await set('db');
    expect(readMutes(mutesPath(stateDir)).map(({ service: name }) => name)).toEqual(['web', 'db']);
    expect(await mute({ stateDir, service: null, forMs: null, remove: false })).toBe(0);
    await mute({ stateDir, service: 'web', forMs: null, remove: true });
    expect(readMutes(mutesPath(stateDir)).map(({ service: name }) => name)).toEqual(['db']);
    await mute({ stateDir, service: null, forMs: null, remove: true });
    expect(await mute({ stateDir, service: null, forMs: null, remove: false })).toBe(1);
  });

  it.each(['mutes.json', 'mutes.json.new'])('that root sets writes to no file that %s links to', async (name) => {
    const target = join(stateDir, 'another');
    writeFileSync(target, '{"mutes":[]}');
    symlinkSync(target, join(stateDir, name));
    await set('web');
    expect(readFileSync(target, 'utf8')).toBe('{"mutes":[]}');
    expect(lstatSync(mutesPath(stateDir)).isFile()).toBe(true);
  });

  it('in a damaged file mutes nothing, and is one line in the log', async () => {
    writeFileSync(mutesPath(stateDir), '{"mutes": 3}');
    const rules = await service();
    expect(firstMatch(subject('web'), rules.current()).action).toBe('report');
    expect(lines).toEqual([expect.stringContaining('Nothing is muted')]);
    await expect(set('web')).rejects.toThrow(/mutes\.json.*remove it/);
  });
});
