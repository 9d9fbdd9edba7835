// SPDX-License-Identifier: Apache-2.0
// The reports that README.md and docs/answers.md show are those that the service makes.
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { renderReport } from '../../../src/core/report/report.ts';
import { Requests } from '../../../src/core/requests/requests.ts';
import type { Ancestor } from '../../../src/core/wire/ancestor.ts';
import type { Death } from '../../../src/core/wire/event.ts';
import { circumstances, recordOf } from '../../support/circumstances.ts';
import { faulted, frames } from '../../support/crashes.ts';
import { actor, END, exitedWith, killedBy, signal, victim } from '../../support/deadly.ts';
import { host } from '../../support/host.ts';
import { request, SENT, stopped } from '../../support/requests.ts';

const TIME = /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{9} [+-]\d\d:\d\d/g;

/** The times depend on the time zone of the machine. */
function reportsOn(page: string): string[] {
  const text = readFileSync(new URL(`../../../${page}`, import.meta.url), 'utf8');
  return [...text.matchAll(/^```\n([✖●▲] .*?)^```$/gms)].map(([, report = '']) => report.replace(TIME, 'TIME'));
}

function report(death: Death, around = circumstances()): string {
  return `${renderReport(recordOf(death, around), { colour: false }).replace(TIME, 'TIME').trimEnd()}\n`;
}

const executed = (pid: number, exe: string, args: string[], uid: number): Ancestor => ({
  pid,
  comm: exe.split('/').at(-1) ?? '',
  start_boottime_ns: 1n,
  exe,
  args,
  args_truncated: false,
  uid,
  login_uid: null,
});
const CRON = executed(812, '/usr/sbin/cron', ['/usr/sbin/cron', '-f'], 0);
const script = (pid: number, path: string, uid: number) => executed(pid, '/usr/bin/bash', ['/bin/bash', path], uid);

function killedTheThirdTime(): string {
  const checkout = victim({
    exe: '/usr/bin/checkout',
    comm: 'checkout',
    args: ['/usr/bin/checkout', '--config', '/etc/checkout.yaml'],
    cgroup: '/system.slice/checkout.service',
    parent_pid: 1,
    start_boottime_ns: END,
  });
  const around = circumstances();
  const at = END + 252_000_000_000n;
  for (const pid of [8, 9]) recordOf(exitedWith(1, { process: { ...checkout, pid }, time_ns: at }), around);
  const sender = actor({
    pid: 3971,
    comm: 'pkill',
    exe: '/usr/bin/pgrep',
    args: ['pkill', '-9', '-f', 'check'],
    cgroup: '/system.slice/cron.service',
    ancestors: [script(3968, '/opt/tidy.sh', 1000), CRON],
  });
  return report(killedBy(9, { process: checkout, signal: signal(9, { sender, time_ns: at }), time_ns: at }), around);
}

function stoppedByADeployment(): string {
  const requests = new Requests();
  const ancestors = [
    executed(511, '/usr/bin/sudo', ['sudo', 'systemctl', 'stop', 'web'], 0),
    script(4711, '/srv/deploy.sh', 1000),
  ];
  const env = { SUDO_USER: 'alice', SSH_CONNECTION: '192.0.2.7 50000 192.0.2.1 22' };
  requests.add(request('systemctl stop web', { by: { ancestors, env } }), 'boot', 'redacted');
  return report(stopped(15), circumstances({ requests: requests.of('boot') }));
}

function crashedWithADump(): string {
  const copy = { frames: frames('parse', 'handle', 'main') };
  const process = victim({ exe: '/usr/bin/chain', comm: 'chain', args: ['chain', '--input', 'orders.csv'] });
  const corePattern = () => ({ pattern: '|/usr/lib/systemd/systemd-coredump %P %u %g %s %t %c %h', usesPid: false });
  const dumped = { ...faulted(11, 1, { address: '0x8' }, copy), process, status_raw: 11 | 0x80 };
  return report({ ...dumped, time_ns: SENT }, circumstances({ host: { ...host, corePattern } }));
}

it('the report in the README is one', () => expect(reportsOn('README.md')).toEqual([killedTheThirdTime()]));

it('the whole reports in the answers are, too', () => {
  expect(reportsOn('docs/answers.md')).toEqual([killedTheThirdTime(), stoppedByADeployment(), crashedWithADump()]);
});
