// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
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

it('prefers host.id and host.name of OTEL_RESOURCE_ATTRIBUTES', () => {
  writeFileSync(join(etc, 'machine-id'), '3d1219c7c4c5404aaa1f6d2a48adfda4\n');
  const read = (attributes: string) => hostReader(etc, { OTEL_RESOURCE_ATTRIBUTES: attributes })();
  expect(read('host.name=node%2D7,host.id=i-0abc')).toMatchObject({ name: 'node-7', id: 'i-0abc' });
  expect(read('host.name=')).toMatchObject({ name: hostname(), id: '3d1219c7c4c5404aaa1f6d2a48adfda4' });
});

it('knows a new user within 10 s', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  writeFileSync(join(etc, 'passwd'), 'root:x:0:0::/:/bin/sh\n');
  const read = hostReader(etc);
  expect(read().userNames.get(7)).toBeUndefined();
  writeFileSync(join(etc, 'passwd'), 'root:x:0:0::/:/bin/sh\nbob:x:7:7::/:/bin/sh\n');
  expect(read().userNames.get(7)).toBeUndefined();
  vi.advanceTimersByTime(10_001);
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
