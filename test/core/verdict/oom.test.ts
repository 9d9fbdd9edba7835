// SPDX-License-Identifier: Apache-2.0
// What the facts of an out-of-memory kill say besides its sizes.
import { expect, it } from 'vitest';
import { classify } from '../../../src/core/verdict/classify.ts';
import { isBelow } from '../../../src/core/verdict/oom.ts';
import type { Death, Signal } from '../../../src/core/wire/event.ts';
import { actor, itself, kernelSignal, killedBy, oom, signal, victim } from '../../support/deadly.ts';

const STACK = ['__oom_kill_process', 'oom_kill_process', 'out_of_memory', 'mem_cgroup_out_of_memory'];
const GROUP = ['__oom_kill_process', 'oom_kill_memcg_member', 'mem_cgroup_scan_tasks', ...STACK.slice(1)];

const verdictOf = (stack: readonly string[], changes: Partial<Signal> = {}, facts: Partial<Death> = {}) =>
  classify(killedBy(9, { signal: kernelSignal(9, [...stack], changes), oom_victim: true, oom: oom(), ...facts }));

it.each([
  ['another process asked for the memory', STACK, {}, {}, 'bash (pid 99) asked for the memory that was not there'],
  ['the victim asked itself', STACK, { sender: itself() }, {}, 'it asked itself for the memory that was not there'],
  [
    'the limit lies above its own cgroup',
    STACK,
    {},
    { process: victim({ cgroup: '/demo/inner' }) },
    'the limit is that of a cgroup above its own, /demo/inner',
  ],
  ['its group is killed', GROUP, {}, {}, 'memory.oom.group is set: all processes of the cgroup are killed'],
  [
    'it was PID 1',
    STACK,
    {},
    { process: victim({ vpid: 1 }) },
    'it was PID 1 of its pid namespace, which ends with it',
  ],
  [
    'it was a child of PID 1',
    STACK,
    {},
    { process: victim({ vpid: 7 }) },
    'PID 1 of its pid namespace was not killed with it',
  ],
] as const)('%s', (_, stack, signal, facts, evidence) => {
  expect(verdictOf(stack, signal, facts).evidence).toContain(evidence);
});

it.each([
  ['the victim ran, but the function that looks for memory is not in the stack', ['__oom_kill_process'], {}, 'asked'],
  ['it is not known whether its group is killed', ['__oom_kill_process'], { vpid: 7 }, 'PID 1'],
  ['its group is killed, and PID 1 with it', GROUP, { vpid: 7 }, 'PID 1'],
  ['it is in no pid namespace of its own', STACK, {}, 'PID 1'],
  ['the limit is that of its own cgroup', STACK, { cgroup: '/demo' }, 'above its own'],
] as const)('%s: nothing is said of that', (_, stack, process, words) => {
  const { evidence } = verdictOf(stack, { sender: itself() }, { process: victim(process) });
  expect(evidence.join()).not.toContain(words);
});

it.each([
  ['out_of_memory', ['oom_kill_process', 'out_of_memory']],
  ['mem_cgroup_out_of_memory, the other one inlined', ['oom_kill_process', 'mem_cgroup_out_of_memory']],
])('the process that asked for the memory is known by %s', (_, stack) => {
  const { trigger, oomGroup } = verdictOf(stack);
  expect([trigger?.act, trigger?.task.pid, oomGroup]).toEqual(['asked_for_memory', 99, false]);
});

it.each([
  ['/demo/inner', '/demo', true],
  ['/demo', '/', true],
  ['/demo', '/demo', false],
  ['/', '/', false],
  ['/demo-2', '/demo', false],
  ['/demo', '/demo/inner', false],
  [null, '/demo', false],
  [null, '/', false],
] as const)('the cgroup %s lies below %s: %s', (path, above, expected) => {
  expect(isBelow(path, above)).toBe(expected);
});

it('has no sizes if the out-of-memory killer did not terminate it, although it had chosen it', () => {
  const { cause, oom: sizes, oomScope, oomGroup } = classify(killedBy(15, { signal: signal(15), oom: oom() }));
  expect([cause, sizes, oomScope, oomGroup]).toEqual(['killed', null, null, null]);
});

it.each([
  ['a kernel thread ran: sysrq', STACK, { sender: actor({ kthread: true }) }],
  ['the stack is not known', [], {}],
  ['only the kill is in the stack', ['__oom_kill_process'], {}],
] as const)('no one is named who asked if %s', (_, stack, signal) => {
  const { trigger, evidence } = verdictOf(stack, signal);
  expect([trigger, evidence.join().includes('asked')]).toEqual([null, false]);
});

it.each([
  ['its group', GROUP, true],
  ['it alone', STACK, false],
  ['not known which', ['__oom_kill_process'], null],
] as const)('killed: %s', (_, stack, group) => {
  expect(verdictOf(stack).oomGroup).toBe(group);
});
