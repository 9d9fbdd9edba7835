// SPDX-License-Identifier: Apache-2.0
// Why systemd sent a signal: its own limits, or a request. Where a fact is missing, several reasons.
import { describe, expect, it } from 'vitest';
import { conclude } from '../../../src/core/conclude.ts';
import { Requests } from '../../../src/core/requests/requests.ts';
import { Units } from '../../../src/core/requests/units.ts';
import type { Actor, Death, Request } from '../../../src/core/wire/event.ts';
import { circumstances, recordOf } from '../../support/circumstances.ts';
import { actor, exitedWith, kernelSignal, killedBy, oom, signal, victim } from '../../support/deadly.ts';
import { request, SENT, SYSTEMD, stopped } from '../../support/requests.ts';

const S = 1_000_000_000n;
/** An earlier signal of systemd. */
const earlier = (signo: number, agoS: number, sender: Actor = SYSTEMD): Partial<Death> => ({
  request: signal(signo, { sender, action: 'ignored', committed: false, time_ns: SENT - BigInt(agoS) * S }),
});
const inUnit = (cgroup: string, env: Record<string, string> = {}): Partial<Death> => ({
  process: victim({ cgroup, env, start_boottime_ns: 2n * S }),
});
const MANAGER = actor({
  ...SYSTEMD,
  pid: 900,
  uid: 1000,
  cgroup: '/user.slice/user-1000.slice/user@1000.service/init.scope',
});

function reasonOf(death: Death, asked: readonly Request[] = [], before: readonly Death[] = []) {
  const requests = new Requests();
  for (const one of asked) requests.add(one, 'boot', 'redacted');
  const units = new Units();
  for (const one of before) conclude(one, circumstances({ units }));
  const { attributes, body } = recordOf(death, { requests: requests.of('boot'), units });
  return { reasons: attributes['whodunit.systemd.reason'], body: String(body) };
}

const cases: readonly [string, Death, readonly Request[], string[], RegExp][] = [
  [
    'a stop that was asked for',
    stopped(),
    [request('systemctl stop web')],
    ['stop'],
    /root\) after 2\.9\d* s: asked for|: asked for by/,
  ],
  [
    'a stop that no known command asked for, or a timeout',
    stopped(),
    [],
    ['stop', 'start_timeout'],
    /: its unit was stopped, or its unit ran out of time .* \(no command that asked for it is known\)/,
  ],
  [
    'systemctl kill',
    stopped(10),
    [request('systemctl kill -s USR1 web')],
    ['kill'],
    /: asked for by `systemctl kill -s USR1 web` \(root\)\.$/,
  ],
  [
    'SIGKILL after its SIGTERM',
    stopped(9, earlier(15, 90)),
    [],
    ['stop_timeout'],
    /: it had not stopped 1 min 30 s after systemd asked it to \(TimeoutStopSec\)\.$/,
  ],
  [
    'and who asked for that',
    stopped(9, earlier(15, 1)),
    [request('systemctl stop web', { agoMs: 1_100 })],
    ['stop_timeout'],
    /\(TimeoutStopSec\), asked for by `systemctl stop web` \(root\)\.$/,
  ],
  [
    'SIGKILL after the SIGTERM of another process',
    stopped(9, earlier(15, 90, actor())),
    [],
    ['kill', 'main_process_ended'],
    /: a command had systemd send the signal \(systemctl kill\), or the main process/,
  ],
  [
    'SIGABRT of a service that it watches',
    stopped(6, inUnit('/system.slice/web.service', { WATCHDOG_USEC: '1000' })),
    [],
    ['watchdog'],
    /: systemd got no keep-alive in time \(WatchdogSec\)\.$/,
  ],
  [
    'SIGABRT of a service of which that is not known',
    stopped(6),
    [],
    ['watchdog', 'start_timeout'],
    /\(WatchdogSec\), or its unit ran out of time/,
  ],
  ['SIGABRT after its SIGTERM', stopped(6, earlier(15, 90)), [], ['stop_timeout'], /\(TimeoutStopSec\)\.$/],
  [
    'SIGKILL after its SIGABRT',
    stopped(9, earlier(6, 90)),
    [],
    ['watchdog'],
    /\(WatchdogSec\), and it had not ended 1 min 30 s later\.$/,
  ],
  [
    'a start that a command still waits for',
    stopped(15, inUnit('/system.slice/web.service')),
    [request('systemctl start web', { agoMs: 11_000 })],
    ['start_timeout'],
    /: its unit ran out of time to start/,
  ],
  [
    'a session',
    stopped(15, inUnit('/user.slice/user-1000.slice/session-3.scope')),
    [],
    ['session_end'],
    /: its session ended \(KillUserProcesses\)\.$/,
  ],
  [
    'a session that was terminated',
    stopped(15, inUnit('/user.slice/user-1000.slice/session-3.scope')),
    [request('loginctl terminate-session 3')],
    ['stop'],
    /: asked for by `loginctl terminate-session 3` \(root\)\.$/,
  ],
  [
    'a user who was logged out',
    stopped(15, inUnit('/user.slice/user-1000.slice/session-3.scope')),
    [request('loginctl terminate-user alice')],
    ['stop'],
    /: asked for by `loginctl terminate-user alice` \(root\)\.$/,
  ],
  [
    'the manager of a user',
    stopped(15, inUnit('/user.slice/user-1000.slice/user@1000.service/app.slice/sync.service'), MANAGER),
    [],
    ['stop', 'session_end'],
    /: its unit was stopped, or the last session of its user ended/,
  ],
  [
    'a shutdown',
    stopped(),
    [request('systemctl reboot')],
    ['shutdown'],
    /: the machine or container was being turned off, probably asked for by `systemctl reboot` \(root\)\.$/,
  ],
];

describe('the reason of systemd', () => {
  it.each(cases)('%s', (_, death, asked, reasons, body) => {
    const found = reasonOf(death, asked);
    expect(found.reasons).toEqual(reasons);
    expect(found.body).toMatch(body);
  });

  it('is the OOM policy after a process of the unit was killed for lack of memory', () => {
    const process = victim({ pid: 7, cgroup: '/system.slice/web.service' });
    const killed = killedBy(9, {
      process,
      time_ns: SENT - S,
      oom: oom(),
      oom_victim: true,
      signal: kernelSignal(9, ['oom_kill_process'], { time_ns: SENT - S - 1n }),
    });
    expect(reasonOf(stopped(), [], [killed]).reasons).toEqual(['oom_policy']);
  });

  it('may be that another process of the unit ended', () => {
    const process = victim({ pid: 7, cgroup: '/system.slice/web.service' });
    const ended = exitedWith(1, { process, time_ns: SENT - S });
    expect(reasonOf(stopped(), [], [ended]).reasons).toEqual(['main_process_ended', 'stop']);
    const elsewhere = exitedWith(1, { process: { ...process, cgroup: '/system.slice/db.service' }, time_ns: SENT - S });
    expect(reasonOf(stopped(), [], [elsewhere]).reasons).toEqual(['stop', 'start_timeout']);
  });

  it('is none of another sender', () => {
    expect(reasonOf(stopped(15, {}, actor())).reasons).toBeUndefined();
  });
});
