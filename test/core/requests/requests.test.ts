// SPDX-License-Identifier: Apache-2.0
// The memory of requests: bounded by origin, for 10 minutes, across a restart of the service, and without secrets.
import { describe, expect, it } from 'vitest';
import { requestWithoutLogins } from '../../../src/core/identity/logins.ts';
import { REQUESTS_MAX, Requests } from '../../../src/core/requests/requests.ts';
import type { Request } from '../../../src/core/wire/event.ts';
import { recordOf } from '../../support/circumstances.ts';
import { endOf, request, SUDO, stopped, stoppedContainer } from '../../support/requests.ts';

const stop = request('systemctl stop web');
const at = (pid: number, uid = 0): Request => {
  const one = request('systemctl stop web', {
    by: { pid, uid, real_uid: uid, cgroup: `/u${uid}.slice/${uid}.service` },
  });
  return { ...one, origin: { cgroup: BigInt(uid), uid } };
};

describe('the memory of requests', () => {
  it('survives a restart of the service, with the ends', () => {
    const before = new Requests();
    before.add(stop, 'boot', 'redacted');
    const docker = request('docker stop web', { by: { pid: 600 } });
    before.add(docker, 'boot', 'redacted');
    before.end(endOf(docker));
    const after = new Requests(JSON.parse(JSON.stringify(before.stored())));
    expect(after.of('boot')).toEqual(before.of('boot'));
    expect(after.allEnded).toBe(false);
    expect(after.of('another boot')).toEqual([]);
    expect(new Requests([{ bootId: 'boot', known: { ask: 1 } }]).of('boot')).toEqual([]);
  });

  it('keeps the same object until it changes', () => {
    const requests = new Requests();
    requests.add(stop, 'boot', 'redacted');
    const [stored] = requests.stored();
    requests.add(at(600), 'boot', 'redacted');
    expect(requests.stored()[0]).toBe(stored);
    requests.end(endOf(stop));
    expect(requests.stored()[0]).not.toBe(stored);
  });

  it('forgets what is older than 10 minutes, what failed, and what asks for nothing', () => {
    const requests = new Requests();
    requests.add(request('systemctl stop web', { agoMs: 601_000 }), 'boot', 'redacted');
    requests.add(at(600), 'boot', 'redacted');
    requests.add(request('systemctl status web', { by: { pid: 601 } }), 'boot', 'redacted');
    requests.add(at(602), 'boot', 'redacted');
    requests.end(endOf(at(602), 256));
    expect(requests.of('boot').map((known) => known.request.process.pid)).toEqual([600]);
  });

  it('gives a flood of one user no more than a share', () => {
    const requests = new Requests();
    requests.add(at(1), 'boot', 'redacted');
    for (let pid = 2; pid < REQUESTS_MAX + 1_000; pid += 1) requests.add(at(pid, 1000), 'boot', 'redacted');
    const kept = requests.of('boot').map((known) => known.request.process);
    expect([kept.length, kept.filter(({ uid }) => uid === 0).length]).toEqual([REQUESTS_MAX, 1]);
    expect([...requests.forgotten]).toEqual([['1000 /u1000.slice/1000.service', 999]]);
  });

  it('a tool that executes another one is one request', () => {
    const requests = new Requests();
    const service = {
      ...request('service web stop', {
        by: { args: ['/bin/sh', '/usr/sbin/service', 'web', 'stop'], exe: '/usr/bin/dash' },
      }),
      script: '/usr/sbin/service',
    };
    requests.add(service, 'boot', 'redacted');
    requests.add(request('systemctl stop web.service'), 'boot', 'redacted');
    expect(requests.of('boot').map((known) => known.request.tool)).toEqual(['systemctl']);
  });

  it('has no secrets, and no arguments where they are not shown', () => {
    const secret = request('docker stop --password=hunter2 web', {
      by: { ancestors: [{ pid: 9, comm: 'sh', args: ['sh', '--token=hunter2'] }] },
    });
    const text = (mode: 'redacted' | 'full' | 'off') => {
      const requests = new Requests();
      requests.add(secret, 'boot', mode);
      return JSON.stringify(requests.stored());
    };
    expect(text('redacted')).not.toContain('hunter2');
    expect(text('off')).not.toContain('hunter2');
    expect(text('full')).toContain('hunter2');
    const requests = new Requests();
    requests.add(secret, 'boot', 'off');
    const { body, attributes } = recordOf(stoppedContainer(), { requests: requests.of('boot'), argumentsMode: 'off' });
    expect(body).toMatch(/: probably asked for by `docker` \(root\)/);
    expect(attributes['whodunit.requester.command_line']).toBeUndefined();
  });

  it('names no logins where they are not shown', () => {
    const requests = new Requests();
    const by = {
      login_uid: 1000,
      ancestors: SUDO,
      env: { SUDO_USER: 'alice', SSH_CONNECTION: '192.0.2.7 1 10.0.0.1 22' },
    };
    requests.add(requestWithoutLogins(request('systemctl stop web', { by })), 'boot', 'redacted');
    const record = recordOf(stopped(), { requests: requests.of('boot') });
    expect(record.body).toMatch(/asked for by `systemctl stop web` \(root\) ← sudo ← bash\.$/);
    expect(JSON.stringify(record.attributes)).not.toMatch(/192\.0\.2\.7|login_user|sudo_user/);
  });
});
