// SPDX-License-Identifier: Apache-2.0
// A container with systemd is turned off, by its own commands and from outside. That is no error, and the records say who asked for it.
import { existsSync, symlinkSync } from 'node:fs';
import { expect, it, onTestFinished } from 'vitest';
import { isTermination, type LogRecord } from '../../scripts/stack/otlp-file.ts';
import { until } from '../../scripts/stack/program.ts';
import { watched } from '../support/watched.ts';
import { prepared } from './bases.ts';
import { bootMachine } from './machine.ts';

const WITHIN_MS = 120_000;
const INFO = 9;
const MACHINE_CGROUP = `whodunit-test-machine-${process.pid}`;
// Without a limit, members of an incident have records of their own.
const both = watched({ WHODUNIT_RECORDS_PER_MINUTE: 'off' });

const TURNED_OFF = 'was killed by SIGINT after .*: its container was turned off \\(reboot\\(2\\)\\)';
const RESTARTED = 'was killed by SIGHUP after .*: its container was restarted \\(reboot\\(2\\)\\)';
const SHUTDOWN = 'the machine or container was being turned off';
const asked = (command: string) => `probably asked for by \`${command}\` \\(root\\)`;
const BY_SIGNAL = (number: number) =>
  `asked for by SIGRTMIN\\+${number} from \`sh -c kill -${34 + number} 1\` \\(root\\)`;

it.each<[what: string, command: readonly string[], ofInit: string, ofServices: string]>([
  [
    'systemctl poweroff',
    ['systemctl', 'poweroff'],
    `${TURNED_OFF}, ${asked('systemctl poweroff')}`,
    `${SHUTDOWN}, ${asked('systemctl poweroff')}`,
  ],
  ['poweroff', ['poweroff'], `${TURNED_OFF}, ${asked('poweroff')}`, `${SHUTDOWN}, ${asked('poweroff')}`],
  [
    'systemctl reboot',
    ['systemctl', 'reboot'],
    `${RESTARTED}, ${asked('systemctl reboot')}`,
    `${SHUTDOWN}, ${asked('systemctl reboot')}`,
  ],
  // As systemd(1) has them. The shell sends it itself.
  [
    'SIGRTMIN+4 to its init',
    ['sh', '-c', 'kill -38 1'],
    `${TURNED_OFF}, ${BY_SIGNAL(4)}`,
    `${SHUTDOWN}, ${BY_SIGNAL(4)}`,
  ],
  [
    'SIGRTMIN+3 to its init',
    ['sh', '-c', 'kill -37 1'],
    `${TURNED_OFF}, ${BY_SIGNAL(3)}`,
    `${SHUTDOWN}, ${BY_SIGNAL(3)}`,
  ],
])('%s', async (_, command, ofInit, ofServices) => {
  const machine = await bootMachine(JSON.parse(prepared('WHODUNIT_TEST_BASES')).debian);
  onTestFinished(machine.stop);
  for (const [unit, action] of [
    ['simple', '-'],
    ['polite', "'exit 0'"],
    ['deaf', "''"],
  ] as const) {
    const script = `trap ${action} TERM; touch /run/${unit}.began; while :; do sleep 0.1; done`;
    machine.call('systemd-run', `--unit=${unit}`, '--property=TimeoutStopSec=1', 'sh', '-c', script);
    await until(unit, WITHIN_MS, () => existsSync(machine.path(`/run/${unit}.began`)) || undefined);
  }
  symlinkSync('systemctl', machine.path('/usr/bin/poweroff')); // as Debian's systemd-sysv has it
  const calledNs = BigInt(Date.now()) * 1_000_000n;
  machine.call(...command);

  const records = () =>
    both.collector.logs().filter((record) => isOfContainer(record) && (record.timeUnixNs ?? 0n) >= calledNs);
  const find = (what: string, holds: (record: LogRecord) => boolean) =>
    until(
      what,
      WITHIN_MS,
      () => records().find(holds),
      () => bodiesOf(records()),
    );
  const isOf = (unit: string, { resource }: LogRecord) => resource['whodunit.systemd.unit'] === `${unit}.service`;
  const ofShell = async (unit: string) =>
    (await find(`the record of ${unit}`, (record) => isOf(unit, record) && String(record.body).startsWith('sh '))).body;
  const init = await find('the record of the init', ({ resource }) => resource['process.vpid'] === 1);

  expect(init.body).toMatch(new RegExp(`^systemd-shutdown .* ${ofInit}`));
  expect(await ofShell('simple')).toMatch(new RegExp(`^sh .* was stopped by SIGTERM.*: ${ofServices}`));
  expect(await ofShell('polite')).toMatch(new RegExp(`^sh .* stopped gracefully .*: ${ofServices}`));
  // Not a child that has not executed sleep yet: it never had the request.
  const refused = /^sh .* was killed by SIGKILL.*: it had not stopped .* \(TimeoutStopSec\)/;
  await find('the record of deaf', (record) => isOf('deaf', record) && refused.test(String(record.body)));
  const errors = records().filter((record) => record.severityNumber !== INFO && !isOf('deaf', record));
  expect(bodiesOf(errors)).toBe('');
});

/** The cgroup is that of the machine, and the pid namespace is no longer that of the machine that runs the test. */
function isOfContainer(record: LogRecord): boolean {
  const { 'process.pid': pid, 'process.vpid': vpid, 'process.linux.cgroup': cgroup } = record.resource;
  return isTermination(record) && vpid !== pid && String(cgroup).startsWith(`/${MACHINE_CGROUP}`);
}

function bodiesOf(records: readonly LogRecord[]): string {
  return records.map(({ severityNumber, body }) => `${severityNumber} ${body}`).join('\n');
}
