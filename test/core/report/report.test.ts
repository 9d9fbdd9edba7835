// SPDX-License-Identifier: Apache-2.0
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { describe, expect, it } from 'vitest';
import { conclude } from '../../../src/core/conclude.ts';
import { CrashPlaces } from '../../../src/core/crash/history.ts';
import { CrashLoops } from '../../../src/core/filter/aggregate.ts';
import { Incidents } from '../../../src/core/filter/incidents.ts';
import { Recent } from '../../../src/core/filter/memory.ts';
import { renderLine } from '../../../src/core/report/line.ts';
import { type ReportOptions, renderReport } from '../../../src/core/report/report.ts';
import { Requests } from '../../../src/core/requests/requests.ts';
import { buildIncident } from '../../../src/core/telemetry/incident.ts';
import { buildSummary } from '../../../src/core/telemetry/summary.ts';
import type { Ancestor } from '../../../src/core/wire/ancestor.ts';
import type { Actor, Death, Request } from '../../../src/core/wire/event.ts';
import { circumstances, recordOf } from '../../support/circumstances.ts';
import { aborted, faulted, frames } from '../../support/crashes.ts';
import { actor, END, exitedWith, kernelSignal, killedBy, oom, signal, victim } from '../../support/deadly.ts';
import { host } from '../../support/host.ts';
import { request, SUDO, SYSTEMD, stopped, stoppedContainer } from '../../support/requests.ts';

type Changes = Parameters<typeof recordOf>[1];

const TIME = /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{9} [+-]\d\d:\d\d/;

/** Without the time, which depends on the time zone of the machine. */
function report(death: Death, changes: Changes = {}, options: Partial<ReportOptions> = {}): string[] {
  const text = renderReport(recordOf(death, changes), { colour: false, ...options });
  expect(text.endsWith('\n\n')).toBe(true);
  return text.replace(TIME, 'TIME').trimEnd().split('\n');
}

const line = (death: Death, changes: Changes = {}): string =>
  renderLine(recordOf(death, changes)).replace(TIME, 'TIME');

const executed = (pid: number, exe: string, args: string[], uid: number): Ancestor => ({
  pid,
  comm: (exe.split('/').at(-1) ?? '').slice(0, 15),
  start_boottime_ns: 1n,
  exe,
  args,
  args_truncated: false,
  uid,
  login_uid: null,
});
const TIDY = executed(33, '/usr/bin/bash', ['/bin/bash', '/opt/tidy.sh'], 1000);
const CRON = executed(7, '/usr/sbin/cron', ['/usr/sbin/cron', '-f'], 0);
const INIT = executed(1, '/usr/lib/systemd/systemd', ['/usr/lib/systemd/systemd', '--deserialize', '31'], 0);
const RUN = executed(50, '/usr/bin/python3.11', ['/usr/bin/python3', '/srv/run.py', '--all'], 1000);

const pkill = (changes: Partial<Actor> = {}): Actor =>
  actor({ pid: 34, comm: 'pkill', exe: '/usr/bin/pgrep', args: ['pkill', '-9', '-f', 'report'], ...changes });
const sentBy = (sender: Actor, process = victim()): Death => killedBy(9, { signal: signal(9, { sender }), process });

const known = (...asked: readonly Request[]): Changes => {
  const requests = new Requests();
  for (const one of asked) requests.add(one, 'boot', 'redacted');
  return { requests: requests.of('boot') };
};

describe('a report', () => {
  it('answers in the headline, and has only lines that add to it', () => {
    expect(report(killedBy(9, { signal: signal(9) }))).toEqual([
      '✖ sleep (pid 4242) was killed by SIGKILL, sent by bash (pid 99, alice) ← sshd ← systemd, after 3.0 s.',
      '  when      TIME',
      '  who       bash -l (pid 99, alice)',
      '  where     session-3.scope · web-1',
      '  was       sleep 100 · /usr/bin/sleep · user alice',
      '  evidence  sent with kill(2) by bash (pid 99), SI_USER',
    ]);
  });

  it('has no line for a sender of whom the headline says all, nor for what carries out the requests of others', () => {
    const bare = actor({ comm: 'heart', exe: '/usr/bin/heart', args: ['heart'], ancestors: [] });
    for (const sender of [bare, SYSTEMD]) expect(report(sentBy(sender)).join()).not.toContain('  who ');
  });

  it('has the ancestors with arguments on lines of their own, with pid and user, and the others by name', () => {
    const death = sentBy(pkill({ ancestors: [TIDY, CRON, INIT] }), victim({ ancestors: [RUN, CRON] }));
    expect(report(death)).toEqual([
      '✖ sleep (pid 4242) was killed by SIGKILL, sent by pkill (pid 34, alice) ← tidy.sh ← cron ← systemd, after 3.0 s: selected by `pkill -9 -f report`.',
      '  when      TIME',
      '  who       pkill -9 -f report (pid 34, alice)',
      '            ← bash /opt/tidy.sh (pid 33, alice) ← cron ← systemd',
      '  where     session-3.scope · web-1',
      '  was       sleep 100 · /usr/bin/sleep · user alice',
      '            ← python3 /srv/run.py --all (pid 50, alice)',
      '  evidence  sent with kill(2) by pkill (pid 34), SI_USER',
    ]);
  });

  it('has three ancestors with arguments, and all if it is to be whole; none twice, as shells that forked would be', () => {
    const at = (pid: number, ...args: string[]) => executed(pid, '/usr/bin/bash', ['/bin/bash', ...args], 0);
    const ancestors = [at(9, '/a'), at(8, '/a'), at(7, '/b'), at(6, '-l'), at(5, '/c'), at(4, '/d')];
    const above = (options: Partial<ReportOptions>) => report(sentBy(pkill({ ancestors })), {}, options).slice(3, -3);
    expect(above({})).toEqual([
      '            ← bash /a (pid 9, root)',
      '            ← bash /b (pid 7, root) ← bash',
      '            ← bash /c (pid 5, root) ← …',
    ]);
    expect(above({ whole: true }).at(-1)).toBe('            ← bash /d (pid 4, root)');
  });

  it('has the ancestors of a process that exited by itself', () => {
    expect(report(exitedWith(3, { process: victim({ ancestors: [TIDY, CRON] }) }))).toEqual([
      '✖ sleep (pid 4242) exited with code 3, after 3.0 s.',
      '  when      TIME',
      '  where     session-3.scope · web-1',
      '  was       sleep 100 · /usr/bin/sleep · user alice',
      '            ← bash /opt/tidy.sh (pid 33, alice) ← cron',
    ]);
  });

  it('says who asked, as which person, from where, and what led to it', () => {
    const login = { env: { SUDO_USER: 'alice', SSH_CONNECTION: '192.0.2.7 50000 192.0.2.1 22' } };
    const ancestors = [...SUDO.slice(0, 1), executed(60, '/usr/bin/bash', ['bash', '/opt/deploy.sh', 'web'], 1000)];
    expect(report(stopped(), known(request('systemctl stop web', { by: { ...login, ancestors } })))).toEqual([
      '● web (pid 4242) was stopped by SIGTERM, sent by systemd (pid 1, root), after 3.0 s: asked for by `systemctl stop web` (alice) ← sudo ← deploy.sh.',
      '  when      TIME',
      '  asked by  systemctl stop web (pid 512, root) · alice through sudo · from 192.0.2.7',
      '            ← sudo',
      '            ← bash /opt/deploy.sh web (pid 60, alice)',
      '  where     service web · web.service · web-1',
      '  was       web · /usr/sbin/web · user alice · parent 99',
      '  evidence  sent with kill(2) by systemd (pid 1), SI_USER',
    ]);
  });

  it('says when only the time speaks for the request', () => {
    const lines = report(stoppedContainer(), known(request('docker stop web')));
    expect(lines.find((text) => text.includes('asked by'))).toBe(
      '  asked by  docker stop web (pid 512, root) · by its time: it was the only such command then',
    );
  });

  it('counts how often the service has terminated in 10 minutes; graceful stops are none', () => {
    const recent = new Recent();
    const when = (pid: number, death: (process: Death['process']) => Death) =>
      report(death(victim({ pid, start_boottime_ns: BigInt(pid) })), { recent })[1];
    const killed = (process: Death['process']) => killedBy(9, { process, signal: signal(9) });
    expect(when(1, killed)).toBe('  when      TIME');
    expect(when(2, killed)).toBe('  when      TIME · second time in 10 minutes');
    const asked = signal(15, { action: 'handled' });
    expect(when(3, (process) => exitedWith(0, { process, request: asked }))).toBe('  when      TIME');
    expect(when(4, killed)).toBe('  when      TIME · third time in 10 minutes');
  });

  it('shows memory sizes for an OOM kill', () => {
    const death = killedBy(9, { signal: kernelSignal(9), oom_victim: true, oom: oom() });
    expect(report(death)).toContain(
      '  memory    limit 32 MiB · anonymous 32 MiB · file 1 MiB · shared 0 B · virtual 100 MiB',
    );
  });

  it('shows who asked for the memory, if its command line says more than its name', () => {
    const stack = ['oom_kill_process', 'out_of_memory', 'mem_cgroup_out_of_memory'];
    const sender = actor({ comm: 'importer', exe: '/srv/importer', args: ['importer', '--all'], ancestors: [] });
    const death = killedBy(9, { signal: kernelSignal(9, stack, { sender }), oom_victim: true, oom: oom() });
    expect(report(death)).toContain('  who       importer --all (pid 99, alice)');
  });

  it('says where the core dump is', () => {
    const corePattern = () => ({ pattern: '|/usr/lib/systemd/systemd-coredump %P %u', usesPid: false });
    const death = { ...faulted(11, 1), status_raw: 139 };
    expect(report(death, { host: { ...host, corePattern } })).toContain('  core      coredumpctl info 4242');
    expect(report({ ...death, status_raw: 11 }, { host: { ...host, corePattern } }).join()).not.toContain('  core ');
  });

  it('says that it took long, and that the place crashed before', () => {
    const slow = killedBy(15, { signal: signal(15, { time_ns: END - 1_300_000_000n }) });
    expect(report(slow)).toContain('  why       it ended 1.3 s after the signal');
    const places = new CrashPlaces();
    const copy = { frames: frames('leaf', 'main') };
    const crashed = (pid: number) => ({
      ...faulted(11, 1, {}, copy),
      process: victim({ pid, start_boottime_ns: BigInt(pid) }),
    });
    report(crashed(1), { places });
    expect(report(crashed(2), { places }).join('\n')).toMatch(/ {2}why {7}2 crashes at this place since 2026-/);
  });

  it('shows the stack of a crash, the innermost lines, or all', () => {
    const copy = { frames: frames('leaf', ...Array.from({ length: 20 }, (_, at) => `f${at}`), 'main') };
    const lines = report(faulted(11, 1, {}, copy));
    const from = lines.indexOf('  stack     #0 leaf+0x1f (chain)');
    const indent = ' '.repeat(12);
    expect(lines.slice(from + 1, from + 3)).toEqual([`${indent}#1 f0+0x1f (chain)`, `${indent}#2 f1+0x1f (chain)`]);
    expect(lines).toContain(`${indent}… 10 more lines`);
    const all = report(faulted(11, 1, {}, copy), {}, { whole: true });
    expect(all).toContain(`${indent}#21 main+0x1f (chain)`);
  });

  it('has lines for what the record does not say', () => {
    const more = [
      ['restart', ['it was restarted']],
      ['earlier', []],
    ] as const;
    expect(report(exitedWith(1), {}, { more }).at(-1)).toBe('  restart   it was restarted');
  });

  it('escapes control characters that come from the process, and takes no name for a pid and a user', () => {
    const process = victim({ exe: null, comm: 'a\u001b[2Jb', args: ['x\r\n\u202e'] });
    const text = report(exitedWith(1, { process })).join('\n');
    expect(text).toContain('✖ a\\u001b[2Jb (pid 4242)');
    expect(text).toContain('x\\u000d\\u000a\\u202e');
    const liar = executed(66, '/usr/bin/bash', ['bash', '/x', '(pid 1, root)\u001b[2J ← cron'], 1000);
    expect(report(sentBy(pkill({ ancestors: [liar] }))).join('\n')).toContain(
      '\n            ← "bash /x (pid 1, root)\\u001b[2J ← cron" (pid 66, alice)\n',
    );
  });

  it('cuts long command lines', () => {
    const args = ['bash', '-c', 'x'.repeat(4000)];
    for (const text of report(sentBy(pkill({ args, ancestors: [{ ...TIDY, args }] }), victim({ args }))).slice(1))
      expect(text.length).toBeLessThan(320);
  });

  it('colours the first line by severity, and labels, if enabled', () => {
    const [head, when] = report(exitedWith(1), {}, { colour: true });
    expect(head).toMatch(/^\u001b\[31m✖ .*\u001b\[0m$/);
    expect(when).toBe('  \u001b[2mwhen      \u001b[0mTIME');
    expect(report(exitedWith(1)).join()).not.toContain('\u001b');
  });
});

describe('a line', () => {
  it('has the time, the severity, the headline, where, how often, and the id for whodunit show', () => {
    const process = victim({ exe: '/usr/sbin/web', args: ['web'], cgroup: '/system.slice/web.service' });
    const recent = new Recent();
    line(exitedWith(3, { process: { ...process, pid: 7 } }), { recent });
    expect(line(exitedWith(3, { process }), { recent })).toMatch(
      /^TIME ERROR web \(pid 4242\) exited with code 3, after 3\.0 s · service web · second time in 10 minutes · id [\da-f]{8}\n$/,
    );
  });

  it('has the place of the core dump', () => {
    const corePattern = () => ({ pattern: '|/usr/lib/systemd/systemd-coredump %P', usesPid: false });
    const death = { ...aborted(), status_raw: 134 };
    expect(line(death, { host: { ...host, corePattern } })).toMatch(
      /^TIME FATAL sleep .* · core: coredumpctl info 4242 · id [\da-f]{8}\n$/,
    );
  });

  it.each([
    ['a stack', faulted(11, 1, {}, { frames: frames('leaf', 'main') })],
    ['ancestors', sentBy(pkill({ ancestors: [TIDY, CRON] }), victim({ ancestors: [RUN] }))],
    ['a hostile name', exitedWith(1, { process: victim({ exe: null, comm: 'a\nb\u2028c', args: ['\r'] }) })],
  ])('is one, with %s', (_, death) => {
    expect(line(death).split(/[\n\r\u2028]/)).toEqual([expect.stringMatching(/^TIME .* · id [\da-f]{8}$/), '']);
  });
});

const rendered = (record: ReadableLogRecord): string[] =>
  renderReport(record, { colour: false }).replace(TIME, 'TIME').trimEnd().split('\n');

describe('a report of several terminations', () => {
  const web = { comm: 'web', exe: '/usr/sbin/web', args: ['web'], cgroup: '/system.slice/web.service' };

  it('has the members of an incident, the odd ones out first, and who asked', () => {
    const incidents = new Incidents(false);
    const asked = known(request('systemctl stop web', { by: { ancestors: SUDO } }));
    const around = circumstances({ incidents, bootId: 'boot', ...asked });
    for (let pid = 5000; pid < 5030; pid += 1)
      conclude(
        stopped(pid === 5020 ? 9 : 15, { process: victim({ ...web, pid, start_boottime_ns: BigInt(pid) }) }),
        around,
      );
    const [part] = incidents.due(Number.POSITIVE_INFINITY);
    if (part === undefined) throw new Error('no incident');
    expect(rendered(buildIncident(part, 0n)).slice(1)).toEqual([
      '  when      TIME',
      '  asked by  systemctl stop web (pid 512, root)',
      '  where     service web · web.service · web-1',
      '  members   web (pid 5020): SIGKILL',
      '            28 × web: SIGTERM (pids 5001-5019, 5021-5029)',
      expect.stringMatching(/^ {2}incident {2}[\da-f-]{36}$/),
    ]);
  });

  it('has an example of those that a summary counts', () => {
    const loops = new CrashLoops(1);
    const around = circumstances({ loops });
    for (let pid = 70; pid < 75; pid += 1)
      conclude(exitedWith(1, { process: victim({ ...web, pid, start_boottime_ns: BigInt(pid) }) }), around);
    const [aggregate] = loops.due(Number.POSITIVE_INFINITY);
    if (aggregate === undefined) throw new Error('no summary');
    expect(rendered(buildSummary(aggregate, host, 0n)).slice(1)).toEqual([
      '  when      TIME',
      '  where     service web · web.service · web-1',
      '  was       for example web',
    ]);
  });
});

describe('what a process chose', () => {
  const FORGED = 'checkout · third time in 10 minutes · core: /tmp/core · id 00000000';

  it('as the name of its service is one part of a line', () => {
    const death = exitedWith(1, { process: victim({ env: { OTEL_SERVICE_NAME: FORGED } }) });
    expect(line(death)).toContain(` · "service ${FORGED}" · id `);
    expect(report(death).join('\n')).toContain(`"service ${FORGED}"`);
  });

  it('as arguments, too, and pretends no other process', () => {
    const args = ['/srv/x', 'y (pid 1, root) ← systemd (pid 1, root) · user root'];
    const text = report(
      exitedWith(1, { process: victim({ exe: '/srv/x', args, ancestors: [{ ...RUN, args }] }) }),
    ).join('\n');
    expect(text.replaceAll(/"(?:[^"\\]|\\.)*"/g, '')).not.toMatch(/systemd|pid 1,/);
  });

  it('as the name of its service does not read as a sentence in a summary', () => {
    const loops = new CrashLoops(1);
    const env = { OTEL_SERVICE_NAME: 'web (pid 1) was killed by root; x' };
    for (let pid = 70; pid < 75; pid += 1)
      conclude(
        exitedWith(1, { process: victim({ env, pid, start_boottime_ns: BigInt(pid) }) }),
        circumstances({ loops }),
      );
    const bodies = loops.due(Number.POSITIVE_INFINITY).map((aggregate) => buildSummary(aggregate, host, 0n).body);
    expect(bodies).toEqual([expect.stringMatching(/^"web \(pid 1\) was killed by root; x" terminated \d more times/)]);
  });

  it('as its last words, or as the name of a function, names no one', () => {
    const lie = 'oops, sent by sshd (pid 1, root)';
    const [headline = ''] = report(aborted({ message: lie }));
    expect(headline).toContain(`"${lie}"`);
  });
});
