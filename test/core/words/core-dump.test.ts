// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { Death } from '../../../src/core/wire/event.ts';
import { coreLocation, type Dumped } from '../../../src/core/words/core-dump.ts';
import { recordOf } from '../../support/circumstances.ts';
import { faulted } from '../../support/crashes.ts';
import { END, killedBy, OFFSET, signal, victim } from '../../support/deadly.ts';
import { host } from '../../support/host.ts';

const DUMPED: Dumped = {
  pid: 4242,
  innerPid: 7,
  tid: 4242,
  threadName: 'web',
  executable: '/usr/sbin/web',
  signo: 11,
  realUid: 1000,
  hostname: 'web-1',
  second: 1_795_443_012n,
  inside: null,
};
const UNKNOWN: Partial<Dumped> = {
  threadName: null,
  tid: null,
  executable: null,
  realUid: null,
  hostname: null,
  second: null,
};

const of = (pattern: string, changes: Partial<Dumped> = {}, usesPid = false) =>
  coreLocation({ pattern, usesPid }, { ...DUMPED, ...changes });

describe('the place of a core dump', () => {
  it.each<[string, string, Partial<Dumped>?]>([
    // The handlers that distributions install.
    ['|/usr/lib/systemd/systemd-coredump %P %u %g %s %t %c %h', 'coredumpctl info 4242'],
    ['|/lib/systemd/systemd-coredump %P %u %g %s %t 9223372036854775808 %h %d %F', 'coredumpctl info 4242'],
    ['|/usr/share/apport/apport -p%p -s%s -c%c -d%d -P%P -u%u -g%g -- %E', '/var/crash, if apport reports its package'],
    ['|/usr/libexec/abrt-hook-ccpp %s %c %p %u %g %t P %I %h', 'abrt list'],
    ['|/usr/bin/wsl-capture-crash %t %E %p %s', 'given to /usr/bin/wsl-capture-crash (core_pattern)'],
    ['|/bin/false', 'given to /bin/false (core_pattern)'],
    ['@/run/coredump.socket', 'given to /run/coredump.socket (core_pattern)'],
    ['@@/run/coredump.socket', 'given to /run/coredump.socket (core_pattern)'],
    // Files.
    ['core', 'core, in its working directory'],
    ['cores/core.%e.%P', 'cores/core.web.4242, in its working directory'],
    ['/var/crash/core.%e.%p.%s', '/var/crash/core.web.7.11'],
    ['/cores/%h/%t-%u-%f-%E', '/cores/web-1/1795443012-1000-web-!usr!sbin!web'],
    ['/cores/%i.%I', '/cores/7.4242'],
    ['/cores/%i.%I', '/cores/*.4243', { tid: 4243 }],
    ['/cores/%i.%I', '/cores/4243.4243', { tid: 4243, innerPid: 4242 }],
    ['/cores/100%%.%g.%c.%d.%C', '/cores/100%.*.*.*.*'],
    ['/cores/core.%e.%t.%u.%h.%f.%E.%I', '/cores/core.*.*.*.*.*.*.*', UNKNOWN],
    // What the kernel does not know is left out; a newer one may know it.
    ['/cores/core%', '/cores/core'],
    ['/cores/core.%Z', '/cores/core.*'],
    // A name adds no directory.
    ['/cores/%e', '/cores/a!b', { threadName: 'a/b' }],
    ['/cores/%e/core', '/cores/!./core', { threadName: '..' }],
    ['/cores/%e/core', '/cores/!/core', { threadName: '.' }],
    ['/cores/%e/core', '/cores/!/core', { threadName: '' }],
    // Whose paths these are.
    ['/cores/core.%p', '/cores/core.7, in the files of its container', { inside: 'container' }],
    ['/cores/core.%p', '/cores/core.7, in the files of its root', { inside: 'root' }],
    ['core.%p', 'core.7, in its working directory', { inside: 'container' }],
  ])('%s: %s', (pattern, place, changes = {}) => {
    expect(of(pattern, changes)).toBe(place);
  });

  it.each([
    ['core', 'core.7, in its working directory'],
    ['/cores/core.%P', '/cores/core.4242.7'],
    ['/cores/core.%p', '/cores/core.7'],
    ['/cores/core.%%p', '/cores/core.%p.7'],
    ['|/usr/lib/systemd/systemd-coredump %P', 'coredumpctl info 4242'],
    ['', '.7, in its working directory'],
  ])('with core_uses_pid, %s: %s', (pattern, place) => {
    expect(of(pattern, {}, true)).toBe(place);
  });
});

describe('the record', () => {
  const LOCATION = 'whodunit.core_dump.location';
  const DUMP = 0x80;
  const located = (death: Death, pattern: string | null) => {
    const corePattern = () => (pattern === null ? null : { pattern, usesPid: false });
    return recordOf(death, { host: { ...host, corePattern } }).attributes[LOCATION];
  };
  const crashed = (changes: Partial<Death> = {}): Death => ({ ...faulted(11, 1), status_raw: 11 | DUMP, ...changes });

  it('says where the dump is, by what is known of the process', () => {
    const process = victim({ real_uid: 1001, vpid: 7, comm: 'leader' });
    expect(located(crashed({ process }), '/cores/%e.%f.%p.%P.%s.%u.%h')).toBe('/cores/sleep.sleep.7.4242.11.1001.*');
  });

  it('has the second only if the dump began and ended in it', () => {
    const endedNs = END + OFFSET;
    expect(located(crashed(), '/cores/%t')).toBe(`/cores/${endedNs / 1_000_000_000n}`);
    const slow = crashed();
    const time_ns = END + 2_000_000_000n;
    expect(located({ ...slow, time_ns }, '/cores/%t')).toBe('/cores/*');
  });

  it('names the main thread of a process with one; another one only by its number', () => {
    const by = (threads: number) => ({ ...killedBy(6, { signal: signal(6), threads }), status_raw: 6 | DUMP });
    expect(located(by(1), '/cores/%e.%I')).toBe('/cores/sleep.4242');
    expect(located(by(3), '/cores/%e.%I')).toBe('/cores/*.*');
  });

  it('knows no path of an executable that was removed, and says whose files have it', () => {
    const process = victim({ exe_flags: ['deleted'], cgroup: `/docker/${'a'.repeat(64)}` });
    expect(located(crashed({ process }), '/cores/%f')).toBe('/cores/*, in the files of its container');
  });

  it('has no place without a dump, nor where the pattern is not known', () => {
    expect(located(crashed({ status_raw: 11 }), 'core')).toBeUndefined();
    expect(located(crashed(), null)).toBeUndefined();
  });

  it('has no control characters of a name', () => {
    const fault = faulted(11, 1, { thread_comm: 'a\u001b[2J' }).fault;
    expect(located(crashed({ fault }), '/cores/%e')).toBe('/cores/a\\u001b[2J');
  });
});
