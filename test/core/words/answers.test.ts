// SPDX-License-Identifier: Apache-2.0
// The reports that docs/answers.md shows are those that the service makes.
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { Death } from '../../../src/core/wire/event.ts';
import { type LoopWords, loopSentence } from '../../../src/core/words/loop.ts';
import { recordOf } from '../../support/circumstances.ts';
import { actor, exitedWith, kernelSignal, killedBy, oom, signal, victim } from '../../support/deadly.ts';
import { host } from '../../support/host.ts';

const page = readFileSync(new URL('../../../docs/answers.md', import.meta.url), 'utf8');
const shown = [...page.matchAll(/^> (.*)$/gm)].map(([, text]) => text);

const GUNICORN = {
  exe: '/usr/bin/python3.11',
  comm: 'gunicorn',
  args: ['/usr/bin/python3', '/usr/bin/gunicorn', 'app:app'],
};
const by = (changes: Parameters<typeof actor>[0]) => actor({ ancestors: [], ...changes });
const MEMORY = { total: 8 * 2 ** 30, available: 400 * 2 ** 20, swapTotal: 2 ** 30, swapFree: 4096 };

it.each<[string, Death]>([
  [
    'a worker of gunicorn',
    exitedWith(1, {
      process: victim({ ...GUNICORN, parent_pid: 99 }),
      request: signal(6, { action: 'handled', sender: by(GUNICORN) }),
    }),
  ],
  [
    'a victim of earlyoom',
    killedBy(15, { signal: signal(15, { sender: by({ exe: '/usr/bin/earlyoom', args: ['earlyoom'] }) }) }),
  ],
  [
    'redis-server',
    killedBy(9, {
      process: victim({ exe: '/usr/bin/redis-check-rdb', comm: 'redis-server', args: ['redis-server *:6379'] }),
      signal: signal(9, { sender: by({ comm: 'tidy.sh', args: ['/bin/bash', '/opt/tidy.sh'] }) }),
    }),
  ],
  [
    'the init of a container that is turned off',
    killedBy(2, { process: victim({ vpid: 1, exe: '/usr/lib/systemd/systemd-shutdown', args: null }) }),
  ],
  [
    'a panic in Go',
    exitedWith(2, { process: victim({ exe: '/srv/server', args: ['/srv/server'], go_build_id: 'a/b/c/d' }) }),
  ],
  [
    'a victim of the memory limit of its container',
    killedBy(9, {
      signal: kernelSignal(9, ['oom_kill_process', 'out_of_memory', 'mem_cgroup_out_of_memory'], {
        sender: by({ comm: 'importer', exe: '/srv/importer', args: ['importer'] }),
      }),
      oom_victim: true,
      oom: oom({ cgroup: '/machine/web' }),
    }),
  ],
])('%s', (_, death) => {
  expect(shown).toContain(recordOf(death, { host: { ...host, memoryBefore: () => MEMORY } }).body);
});

const LOOP = {
  end: null,
  name: 'server',
  pid: 1003,
  count: 3,
  withinNs: 2_400_000_000n,
  outcomes: [['exit code 9', 50]],
  restarter: 'supervisord (pid 99)',
  delayMs: 1_000,
  isUnit: false,
} as const;

it.each<[string, LoopWords]>([
  ['a loop under supervisord', { ...LOOP, state: 'began' }],
  ['its end', { ...LOOP, state: 'ended', end: 'not_restarted', count: 50, withinNs: 58_800_000_000n }],
])('%s', (_, loop) => {
  expect(shown).toContain(loopSentence(loop));
});

it('the page has no other report', () => expect(shown).toHaveLength(8));
