// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { arch, hostname, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { hostReader } from '../../src/io/host.ts';
import { Log, REPEAT_MS } from '../../src/io/log.ts';

let etc: string;

beforeEach(() => {
  etc = mkdtempSync(join(tmpdir(), 'whodunit-etc-'));
});

afterEach(() => {
  vi.useRealTimers();
  rmSync(etc, { recursive: true });
});

it('reads id, name, architecture, kernel and user names', () => {
  writeFileSync(join(etc, 'machine-id'), '3d1219c7c4c5404aaa1f6d2a48adfda4\n');
  writeFileSync(
    join(etc, 'passwd'),
    'root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:/bin/sh\n# nonsense\nalice:x:1000:1000::/home/alice:/bin/sh\n',
  );
  const host = hostReader(etc)();
  expect(host).toMatchObject({ id: '3d1219c7c4c5404aaa1f6d2a48adfda4', name: hostname(), osVersion: release() });
  expect(host.arch).toBe({ x64: 'amd64' }[arch() as string] ?? arch());
  expect([...host.userNames]).toEqual([
    [0, 'root'],
    [1000, 'alice'],
  ]);
});

it('has no id and no user names without machine-id and passwd', () => {
  expect(hostReader(etc)()).toMatchObject({ id: null, userNames: new Map() });
});

it.each([
  ['a comment', '#alice:x:7:7::/:/bin/sh'],
  ['an entry of NIS', '+alice:x:7:7::/:/bin/sh'],
  ['an entry that NIS excludes', '-alice:x:7:7::/:/bin/sh'],
  ['all users of NIS', '+::::::'],
  ['no name', ':x:7:7::/:/bin/sh'],
  ['space before the name', ' alice:x:7:7::/:/bin/sh'],
  ['too few fields', 'alice:x:7'],
  ['too many fields', 'alice:x:7:7::/:/bin/sh:more'],
  ['no password field', 'alice:7:7::/:/bin/sh'],
  ['an id with a sign', 'alice:x:+7:7::/:/bin/sh'],
  ['an id in hexadecimal', 'alice:x:0x7:7::/:/bin/sh'],
  ['an id beyond 32 bits', 'alice:x:4294967303:7::/:/bin/sh'],
  ['(uid_t)-1', 'alice:x:4294967295:7::/:/bin/sh'],
])('names no user by a line of passwd with %s', (_, line) => {
  writeFileSync(join(etc, 'passwd'), `${line}\nbob:x:8:8::/:/bin/sh\n`);
  expect([...hostReader(etc)().userNames]).toEqual([[8, 'bob']]);
});

const asRoot = it.runIf(process.getuid?.() === 0);
asRoot('names no user by a passwd that was replaced behind the bind mount of a container', () => {
  const mounted = join(etc, 'passwd');
  writeFileSync(join(etc, 'old'), 'alice:x:7:7::/:/bin/sh\n');
  writeFileSync(mounted, '');
  expect(spawnSync('mount', ['--bind', join(etc, 'old'), mounted]).status).toBe(0);
  try {
    vi.useFakeTimers({ toFake: ['performance'] });
    const read = hostReader(etc);
    expect(read().userNames.get(7)).toBe('alice');
    rmSync(join(etc, 'old'));
    vi.advanceTimersByTime(1_001);
    expect(read().userNames.get(7)).toBeUndefined();
  } finally {
    expect(spawnSync('umount', [mounted]).status).toBe(0);
  }
});

it('reads passwd again if an editor kept its size and its time of modification', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const passwd = join(etc, 'passwd');
  const past = new Date(0);
  const write = (name: string) => {
    writeFileSync(passwd, `${name}:x:7:7::/:/bin/sh\n`);
    utimesSync(passwd, past, past);
  };
  write('alice');
  const read = hostReader(etc);
  expect(read().userNames.get(7)).toBe('alice');
  write('carol');
  vi.advanceTimersByTime(1_001);
  expect(read().userNames.get(7)).toBe('carol');
});

it('prefers host.id and host.name of OTEL_RESOURCE_ATTRIBUTES', () => {
  writeFileSync(join(etc, 'machine-id'), '3d1219c7c4c5404aaa1f6d2a48adfda4\n');
  const read = (attributes: string) => hostReader(etc, { OTEL_RESOURCE_ATTRIBUTES: attributes })();
  expect(read('host.name=node%2D7,host.id=i-0abc')).toMatchObject({ name: 'node-7', id: 'i-0abc' });
  expect(read('host.name=')).toMatchObject({ name: hostname(), id: '3d1219c7c4c5404aaa1f6d2a48adfda4' });
});

it('knows a new user within 1 s', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  writeFileSync(join(etc, 'passwd'), 'root:x:0:0::/:/bin/sh\n');
  const read = hostReader(etc);
  expect(read().userNames.get(7)).toBeUndefined();
  writeFileSync(join(etc, 'passwd'), 'root:x:0:0::/:/bin/sh\nbob:x:7:7::/:/bin/sh\n');
  expect(read().userNames.get(7)).toBeUndefined();
  vi.advanceTimersByTime(1_001);
  expect(read().userNames.get(7)).toBe('bob');
});

it('logs a rate-limited topic once a minute, with the number of lines left out', () => {
  const lines: string[] = [];
  let now = 0;
  const log = new Log(
    (line) => lines.push(line),
    () => now,
  );
  log.rateLimited('a', 'first');
  log.rateLimited('a', 'second');
  log.rateLimited('b', 'other');
  now = REPEAT_MS;
  log.rateLimited('a', 'third\nline');
  log.reset('a');
  log.rateLimited('a', 'fourth');
  expect(lines).toEqual([
    'whodunit: first\n',
    'whodunit: other\n',
    'whodunit: third line (1 more left out)\n',
    'whodunit: fourth\n',
  ]);
});

it('tags the fleet with OTEL_RESOURCE_ATTRIBUTES, without what describes whodunit itself', () => {
  const own = [
    'service.name=whodunit',
    'service.instance.id=1',
    'k8s.pod.name=whodunit-x2x4z',
    'k8s.namespace.name=observability',
    'k8s.container.name=service',
    'k8s.daemonset.name=whodunit',
    'container.id=c0ffee',
    'process.pid=1',
    'telemetry.sdk.name=x',
    'empty=',
  ];
  const fleet = {
    'k8s.cluster.name': 'a',
    'k8s.node.name': 'node-1',
    'deployment.environment.name': 'production',
    'cloud.region': 'eu-west-1',
    team: 'till 4',
  };
  const pairs = Object.entries(fleet).map(([key, value]) => `${key}=${encodeURIComponent(value)}`);
  expect(hostReader(etc, { OTEL_RESOURCE_ATTRIBUTES: [...own, ...pairs].join() })().tags).toEqual(fleet);
});
