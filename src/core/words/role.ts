// SPDX-License-Identifier: Apache-2.0
// What the role of a sender means for the process that it stopped, as a clause. A reason that its signal does not prove ends with a
// question mark.
import type { Identities } from '../identity/identity.ts';
import type { Memory } from '../identity/memory.ts';
import { runnerAmong } from '../identity/role.ts';
import type { SenderRoleValue } from '../telemetry/semconv.ts';
import { size } from './units.ts';

/** `its own master, gunicorn, stopped worker 4243 (timeout?)`. null: the role adds nothing. */
export function roleClause({ role, sender, victim }: Identities, memory: Memory | null): string | null {
  if (role === null || sender === null) return null;
  if (role.shutsDown) return 'the machine or container was being turned off';
  if (role.stop === null) return null;
  if (role.role === 'oom_daemon') return `${sender.name} frees memory before the kernel has to${memoryLabel(memory)}`;
  const { whom, why } = role.stop;
  const reason = why === null ? '' : ` (${why}?)`;
  if (whom === 'sibling') return `another worker of its own master stopped it${reason}`;
  if (whom === 'worker') return `its own master, ${sender.name}, stopped worker ${victim.pid}${reason}`;
  const who = role.role === 'timeout' ? sender.name : `its ${NOUNS[role.role]}, ${sender.name},`;
  return `${who} stopped it${reason}`;
}

/** Who asked for the command that sent the signal, as far as the names of ancestors show it. */
export function runnerEvidence({ sender }: Identities): string[] {
  const runner = sender === null ? null : runnerAmong(sender.ancestors);
  if (runner === null) return [];
  return [`${runner.name} (pid ${runner.pid}), by its name a ${NOUNS[runner.role]}, is an ancestor of the sender`];
}

function memoryLabel(memory: Memory | null): string {
  if (memory === null) return '';
  const swap = memory.swapTotal === 0 ? '' : `, ${size(memory.swapFree)} of ${size(memory.swapTotal)} swap`;
  return `: ${size(memory.available)} of ${size(memory.total)} were available${swap}`;
}

const NOUNS: Readonly<Record<SenderRoleValue, string>> = {
  service_manager: 'service manager',
  container_runtime: 'container runtime',
  supervisor: 'supervisor',
  shell: 'shell',
  timeout: 'time limit',
  oom_daemon: 'out-of-memory daemon',
  watchdog: 'watchdog',
  application_server: 'application server',
  ci_runner: 'CI runner',
  coding_agent: 'coding agent',
};
