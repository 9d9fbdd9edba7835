// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { ArgumentsMode } from '../../../src/core/identity/arguments.ts';
import type { Ancestor } from '../../../src/core/wire/event.ts';
import { recordOf } from '../../support/circumstances.ts';
import { actor, killedBy, signal, victim } from '../../support/deadly.ts';

const script: Ancestor = {
  pid: 33,
  comm: 'tidy.sh',
  start_boottime_ns: 1n,
  exe: '/usr/bin/bash',
  args: ['/bin/bash', '/opt/tidy.sh', '--password=hunter2'],
  args_truncated: false,
  uid: 1000,
  login_uid: 1000,
};
const cron: Ancestor = {
  ...script,
  pid: 7,
  comm: 'cron',
  exe: '/usr/sbin/cron',
  args: ['/usr/sbin/cron', '-f'],
  uid: 0,
};
const LINES = 'whodunit.sender.ancestor_command_lines';
const OF_VICTIM = 'whodunit.process.ancestor_command_lines';

function record(ancestors: readonly Ancestor[], mode: ArgumentsMode = 'redacted', ofVictim: readonly Ancestor[] = []) {
  const sender = actor({
    pid: 34,
    comm: 'pkill',
    exe: '/usr/bin/pgrep',
    args: ['pkill', '-f', 'x'],
    ancestors: [...ancestors],
  });
  const death = killedBy(9, { signal: signal(9, { sender }), process: victim({ ancestors: [...ofVictim] }) });
  return recordOf(death, { argumentsMode: mode });
}

const evidence = (of: ReturnType<typeof record>) => String(of.attributes['whodunit.evidence']);

describe('what the ancestors executed', () => {
  it('is in the attributes and the evidence of the sender, without secrets', () => {
    const { attributes } = record([script, cron]);
    expect(attributes[LINES]).toEqual([
      '/bin/bash /opt/tidy.sh --password=[REDACTED] (pid 33, alice)',
      '/usr/sbin/cron -f (pid 7, root)',
    ]);
    expect(evidence(record([script, cron]))).toContain('the sender was started by /bin/bash /opt/tidy.sh');
    expect(attributes['whodunit.sender.ancestors']).toEqual(['tidy.sh(33)', 'cron(7)']);
  });

  it('is in the attributes of the victim', () => {
    const { attributes } = record([script, cron], 'redacted', [cron]);
    expect(attributes[OF_VICTIM]).toEqual(['/usr/sbin/cron -f (pid 7, root)']);
  });

  it('is not shown with WHODUNIT_ARGUMENTS=off, nor by a name', () => {
    const off = record([script, cron], 'off', [cron]);
    expect(off.attributes[LINES]).toBeUndefined();
    expect(off.attributes[OF_VICTIM]).toBeUndefined();
    expect(JSON.stringify([off.attributes, off.body])).not.toContain('/opt/');
  });

  it('is not there in lines of older loaders', () => {
    const { attributes } = record([{ pid: 33, comm: 'bash' }]);
    expect(attributes[LINES]).toBeUndefined();
    expect(evidence(record([{ pid: 33, comm: 'bash' }]))).not.toContain('started by');
  });

  it('controls no terminal', () => {
    const hostile = { ...script, args: ['bash', '\u001b[2J\n\u202eevil'] };
    expect(evidence(record([hostile]))).not.toMatch(/[\u001b\u202e\n]/);
    expect(String(record([hostile]).attributes[LINES])).not.toMatch(/[\u001b\u202e]/);
  });
});
