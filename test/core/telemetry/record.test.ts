// SPDX-License-Identifier: Apache-2.0
// The records of golden events, field by field.
import { describe, expect, it } from 'vitest';
import { goldenDeath } from '../../../scripts/stack/fake-loader.ts';
import { conclude } from '../../../src/core/conclude.ts';
import { Seen } from '../../../src/core/filter/memory.ts';
import { severityOf } from '../../../src/core/telemetry/record.ts';
import { recordUid } from '../../../src/core/telemetry/uid.ts';
import type { Death } from '../../../src/core/wire/event.ts';
import { circumstances, recordOf } from '../../support/circumstances.ts';
import { actor, END, exitedWith, fault, kernelSignal, killedBy, oom, signal, victim } from '../../support/deadly.ts';

const BOOT_ID = '7c1f7b53-9d3c-4c53-8f0e-0a6d1b2c3d4e';
const concluded = (death: Death, seen = new Seen(10)) => conclude(death, circumstances({ seen }));

const goldenRecord = (name: string) => recordOf(goldenDeath(name));

/** Attributes of every golden record: all are about the same process. */
const common = {
  'log.record.uid': recordUid(BOOT_ID, 4242, 9_000_000_000n),
  'whodunit.incident.id': expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-5/),
  'process.exit.time': '2026-11-23T17:35:45.802358023Z',
  'whodunit.process.uptime': 12_336.678901234,
  'whodunit.process.ancestor_command_lines': ['bash -l (pid 99, alice)', 'sshd (pid 80)', 'systemd (pid 1)'],
  'whodunit.recent_terminations': 1,
};

const bash = {
  'whodunit.sender.kind': 'process',
  'whodunit.sender.pid': 99,
  'whodunit.sender.name': 'bash',
  'whodunit.sender.role': 'shell',
  'whodunit.sender.executable.name': 'bash',
  'whodunit.sender.executable.path': '/usr/bin/bash',
  'whodunit.sender.command_line': 'bash -l',
  'whodunit.sender.user.id': 1000,
  'whodunit.sender.user.name': 'alice',
  'whodunit.sender.real_user.id': 1000,
  'whodunit.sender.real_user.name': 'alice',
  'whodunit.sender.login_user.id': 1000,
  'whodunit.sender.login_user.name': 'alice',
  'whodunit.sender.systemd.unit': 'session-3.scope',
  'whodunit.sender.ancestors': ['sshd(80)', 'systemd(1)'],
};

describe('the record of a golden event', () => {
  it('killed from a foreign root, with a forged code', () => {
    const { attributes, body } = goldenRecord('death-forged-timer-in-a-foreign-root');
    expect(body).toContain(', sent by ssh (pid 99, root, in a foreign root) ← ');
    expect(attributes).toMatchObject({
      'whodunit.process.executable.state': 'memfd',
      'whodunit.sender.user.id': 0,
      'whodunit.sender.real_user.name': 'alice',
      'whodunit.sender.login_user.id': 1001,
      'whodunit.sender.foreign_root': 'mount_namespace',
      'whodunit.sender.executable.state': 'deleted',
      'whodunit.evidence': expect.arrayContaining([
        'its executable is in memory only (memfd_create): the process chose its name',
        "the sender's executable is mounted in a namespace that an unprivileged user can arrange: its path is not one of the machine",
        "the sender's executable lies in a container that an unprivileged user started: its path is one in there",
        "the sender's executable was deleted or replaced after it was executed",
      ]),
    });
  });

  it('killed by another process', () => {
    const record = goldenRecord('death-sigkill-by-another');
    expect(record).toMatchObject({
      eventName: 'whodunit.process.termination',
      hrTime: [1_795_455_345, 802_358_023],
      hrTimeObserved: [1_795_455_345, 900_000_001],
      severityNumber: 17,
      severityText: 'ERROR',
      body: 'sleep (pid 4242) was killed by SIGKILL, sent by bash (pid 99, alice) ← sshd ← systemd, after 3 h 25 min.',
      droppedAttributesCount: 0,
      instrumentationScope: {
        name: 'whodunit',
        version: '0.1.0',
        schemaUrl: 'https://opentelemetry.io/schemas/1.45.0',
      },
    });
    expect(record.attributes).toEqual({
      ...common,
      ...bash,
      'whodunit.sender.sudo_user': 'alice',
      'whodunit.sender.client.address': '198.51.100.7',
      'whodunit.cause': 'killed',
      'error.type': 'SIGKILL',
      'whodunit.signal.number': 9,
      'whodunit.signal.name': 'SIGKILL',
      'whodunit.signal.meaning':
        'it was killed without a chance to clean up, by an orchestrator after its grace period, or by a person',
      'whodunit.signal.code': 'SI_USER',
      'whodunit.signal.disposition': 'default',
      'whodunit.signal.time_to_exit': 0.000901234,
      'whodunit.core_dumped': false,
      'whodunit.evidence': ['sent with kill(2) by bash (pid 99), SI_USER'],
    });
    expect(record.resource.schemaUrl).toBe('https://opentelemetry.io/schemas/1.45.0');
    expect(record.resource.attributes).toMatchObject({
      'service.name': 'unknown_service:sleep',
      'process.pid': 4242,
      'process.vpid': 7,
    });
    expect(record.spanContext).toBeUndefined();
  });

  it('a segmentation fault in a thread', () => {
    const record = goldenRecord('death-segfault');
    expect([record.severityNumber, record.severityText]).toEqual([21, 'FATAL']);
    expect(record.body).toBe(
      'sleep (pid 4242) crashed with SIGSEGV (SEGV_MAPERR at 0xbeef) in thread worker (core dumped) after 3 h 25 min: null dereference (write of p + 0xbeef), in leaf+0x1f (sleep).',
    );
    expect(record.attributes).toEqual({
      ...common,
      'whodunit.crash.count': 1,
      'whodunit.crash.first_seen': expect.stringMatching(/Z$/),
      'whodunit.cause': 'fault',
      'error.type': 'SIGSEGV',
      'whodunit.signal.number': 11,
      'whodunit.signal.name': 'SIGSEGV',
      'whodunit.signal.meaning':
        'an access to memory that is not mapped, or not for this kind of access: a null or dangling pointer, or a stack overflow',
      'whodunit.signal.code': 'SEGV_MAPERR',
      'whodunit.signal.disposition': 'default',
      'whodunit.signal.time_to_exit': 0.000901234,
      'whodunit.core_dumped': true,
      'whodunit.sender.kind': 'kernel',
      'whodunit.fault.address': '0xbeef',
      'whodunit.fault.instruction_pointer': '0x55d0c0de1234',
      'exception.type': 'SIGSEGV',
      'exception.message': 'SEGV_MAPERR at 0xbeef',
      'thread.id': 4244,
      'thread.name': 'worker',
      'whodunit.evidence': [
        'SIGSEGV with SEGV_MAPERR at 0xbeef, trap 14, delivered with the default action',
        'the address 0xbeef is p + 0xbeef of a null pointer p, and is not mapped',
        '1 of 2 frames are guesses: they may not exist',
        'the stack is not complete: it ends with "not copied"',
        'no names: /usr/lib/libx.so: its file system is not mounted here',
      ],
      'exception.stacktrace': '#0 leaf+0x1f (sleep)\n#1 0x7f0b172a8eec [guess: scan]',
      'whodunit.crash.reason': 'null_dereference',
      'whodunit.crash.explanation': 'null dereference (write of p + 0xbeef)',
      'whodunit.crash.place': 'leaf+0x1f (sleep)',
      'whodunit.crash.fingerprint': expect.stringMatching(/^[0-9a-f]{16}$/),
      'whodunit.crash.stack': 'unwound',
      'whodunit.crash.frames': [
        '{"function":"leaf","module":"/usr/bin/sleep","address":"0x1234","build_id":"3ca162567ba1a9d2863659b70349d7627ede3422","offset":31,"found_by":"pc"}',
        '{"pc":"0x7f0b172a8eec","found_by":"scan","guess":true}',
      ],
    });
  });

  // The probes keep sizes for every SIGKILL from the kernel, because a victim may not be marked yet.
  it('has no memory sizes if the kernel killed for another reason', () => {
    const { attributes } = recordOf(killedBy(9, { signal: kernelSignal(9, ['zap_pid_ns_processes']), oom: oom() }));
    expect(attributes['whodunit.cause']).toBe('namespace_exit');
    expect(Object.keys(attributes).filter((key) => key.startsWith('whodunit.oom.'))).toEqual([]);
  });

  it('out of memory', () => {
    const record = goldenRecord('death-oom');
    expect(record.severityNumber).toBe(21);
    expect(record.body).toBe(
      'sleep (pid 4242) was killed by the out-of-memory killer after 3 h 25 min: cgroup /demo reached its limit of 32 MiB, when bash (pid 99, alice) ← sshd ← systemd asked for more; it had 33 MiB.',
    );
    expect(record.attributes).toEqual({
      ...common,
      'whodunit.cause': 'oom_kill',
      'error.type': 'oom_kill',
      'whodunit.signal.number': 9,
      'whodunit.signal.name': 'SIGKILL',
      'whodunit.signal.meaning': 'it was killed by the out-of-memory killer',
      'whodunit.signal.code': 'SI_KERNEL',
      'whodunit.signal.disposition': 'default',
      'whodunit.signal.time_to_exit': 0.000901234,
      'whodunit.core_dumped': false,
      'whodunit.sender.kind': 'kernel',
      'whodunit.trigger.pid': 99,
      'whodunit.trigger.executable.name': 'bash',
      'whodunit.trigger.command_line': 'bash -l',
      'whodunit.trigger.user.id': 1000,
      'whodunit.trigger.user.name': 'alice',
      'whodunit.oom.scope': 'cgroup',
      'whodunit.oom.group': false,
      'whodunit.oom.init_lives': true,
      'whodunit.oom.cgroup': '/demo',
      'whodunit.oom.limit': 33_554_432,
      'whodunit.oom.anon_rss': 33_554_432,
      'whodunit.oom.file_rss': 1_048_576,
      'whodunit.oom.shmem_rss': 0,
      'whodunit.oom.total_vm': 104_857_600,
      'whodunit.oom.score_adj': 0,
      'whodunit.evidence': [
        'it was marked as a victim of the out-of-memory killer',
        'bash (pid 99) asked for the memory that was not there',
        'PID 1 of its pid namespace was not killed with it',
        'kernel stack of the signal: __oom_kill_process',
      ],
    });
  });

  it('an exit without a signal', () => {
    const record = goldenRecord('death-exit-3');
    expect(record.severityNumber).toBe(17);
    expect(record.body).toBe('sleep (pid 4242) exited with code 3, after 3 h 25 min.');
    expect(record.attributes).toEqual({
      ...common,
      'whodunit.cause': 'exit',
      'error.type': '3',
      'process.exit.code': 3,
      'whodunit.evidence': ['it exited with code 3'],
    });
    expect(record.resource.attributes['service.name']).toBe('checkout');
  });

  it('an exit after a handled SIGTERM', () => {
    const record = goldenRecord('death-exit-after-sigterm');
    expect(record.body).toBe(
      'sleep (pid 4242) exited with code 143 after 3 h 25 min, 901 µs after it handled SIGTERM, sent by bash (pid 99, alice) ← sshd ← systemd.',
    );
    expect(record.attributes).toEqual({
      ...common,
      ...bash,
      'whodunit.cause': 'exit',
      'error.type': '143',
      'process.exit.code': 143,
      'whodunit.exit.meaning': '128 + 15: by convention, SIGTERM terminated it or a child of it',
      'whodunit.signal.number': 15,
      'whodunit.signal.name': 'SIGTERM',
      'whodunit.signal.meaning': 'it was asked to stop, by a service manager, an orchestrator or kill(1)',
      'whodunit.signal.code': 'SI_USER',
      'whodunit.signal.disposition': 'handled',
      'whodunit.signal.time_to_exit': 0.000901234,
      'whodunit.evidence': [
        'it exited with code 143',
        'SIGTERM from bash (pid 99) was handled, 0.001 s before the termination',
      ],
    });
  });

  it('nothing known', () => {
    const record = goldenRecord('death-nothing-known');
    expect(record.body).toBe('sleep (pid 4242) was killed by SIGKILL after 3 h 25 min; the sender is not known.');
    expect(record.attributes).toEqual({
      ...common,
      'whodunit.process.ancestor_command_lines': undefined,
      'whodunit.cause': 'unknown',
      'error.type': 'SIGKILL',
      'whodunit.signal.number': 9,
      'whodunit.signal.name': 'SIGKILL',
      'whodunit.signal.meaning':
        'it was killed without a chance to clean up, by an orchestrator after its grace period, or by a person',
      'whodunit.signal.disposition': 'default',
      'whodunit.core_dumped': false,
      'whodunit.sender.kind': 'unknown',
      'whodunit.evidence': [
        'no signal was recorded',
        'its share of the ring buffer was nearly full: parts of the record were left out',
      ],
    });
  });
});

describe('details', () => {
  it('a seccomp kill names the system call', () => {
    const seen = fault(31, 1, { address: null, syscall: 101, syscall_arch: 0xc000003e });
    const record = recordOf(killedBy(31, { seccomp_mode: 3, fault: seen }));
    expect(record.attributes['whodunit.fault.syscall']).toBe('ptrace');
    expect(record.body).toBe('sleep (pid 4242) was killed by seccomp (SIGSYS) after 3.0 s: it called ptrace.');
  });

  it('a sender in a container has the container, and no user name from the host', () => {
    const sender = actor({ uid: 1000, cgroup: `/docker/${'c'.repeat(64)}` });
    const { attributes } = recordOf(killedBy(9, { signal: signal(9, { sender }) }));
    expect(attributes['whodunit.sender.container.id']).toBe('c'.repeat(64));
    expect(attributes).not.toHaveProperty('whodunit.sender.user.name');
  });

  it.each([
    [
      'a sampled trace of the parent',
      '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
      END,
      { traceFlags: 1 },
    ],
    [
      'a later version of the header',
      '01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more',
      END,
      { traceFlags: 0 },
    ],
    [
      'a process that is too old',
      '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
      9_000_000_000n + 300_000_000_000n,
      null,
    ],
    ['zeros', '00-00000000000000000000000000000000-00f067aa0ba902b7-01', END, null],
    ['garbage', 'no trace', END, null],
  ])('TRACEPARENT: %s', (_, TRACEPARENT, time, expected) => {
    const { spanContext } = recordOf(exitedWith(1, { time_ns: time, process: victim({ env: { TRACEPARENT } }) }));
    if (expected === null) expect(spanContext).toBeUndefined();
    else
      expect(spanContext).toEqual({
        traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
        spanId: '00f067aa0ba902b7',
        ...expected,
      });
  });

  it('the second copy of an event is a duplicate', () => {
    const seen = new Seen(10);
    expect([concluded(exitedWith(1), seen).kind, concluded(exitedWith(1), seen).kind]).toEqual(['new', 'duplicate']);
  });

  it('a reused pid is another termination', () => {
    const seen = new Seen(10);
    concluded(exitedWith(1), seen);
    expect(concluded(exitedWith(1, { process: victim({ start_boottime_ns: 10n }) }), seen).kind).toBe('new');
  });
});

describe('the severity', () => {
  it.each([
    ['fault', 11, null, 'FATAL'],
    ['abort', 6, null, 'FATAL'],
    ['oom_kill', 9, null, 'FATAL'],
    ['seccomp', 31, null, 'FATAL'],
    ['killed', 9, null, 'ERROR'],
    ['killed', 15, null, 'INFO'],
    ['killed', 2, null, 'INFO'],
    ['killed', 1, null, 'INFO'],
    ['killed', 3, null, 'INFO'],
    ['terminal', 2, null, 'INFO'],
    ['broken_pipe', 13, null, 'WARN'],
    ['timer', 14, null, 'WARN'],
    ['hangup', 1, null, 'WARN'],
    ['self_signal', 15, null, 'ERROR'],
    ['resource_limit', 24, null, 'ERROR'],
    ['parent_death', 15, null, 'ERROR'],
    ['namespace_exit', 9, null, 'INFO'],
    ['kernel', 9, null, 'ERROR'],
    ['unknown', 15, null, 'ERROR'],
    ['exit', 0, 143, 'ERROR'],
    ['graceful_stop', 0, 0, 'INFO'],
  ] as const)('of %s with signal %i and code %s is %s', (cause, signo, exitCode, text) => {
    expect(severityOf({ cause, signo, exitCode }, null).text).toBe(text);
  });
});
