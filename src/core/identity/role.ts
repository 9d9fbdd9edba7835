// SPDX-License-Identifier: Apache-2.0
// The role of a sender, and what it means that it stopped this process. The data is in roles.ts, the words are in core/words/.
import { Memo } from '../memo.ts';
import type { Program } from '../naming/program.ts';
import type { SenderRoleValue } from '../telemetry/semconv.ts';
import type { Named } from './names.ts';
import { PROFESSIONS, type Profession, type Stop, WRITABLE_BY_ANY } from './roles.ts';

export interface Role {
  readonly role: SenderRoleValue;
  /** What its signal means for this process. null: nothing more than that it was sent. */
  readonly stop: Stop | null;
  /** It is turning the machine or the container off. */
  readonly shutsDown: boolean;
}

/** The part of an identity that has a role. */
interface Actor {
  readonly pid: number;
  readonly program: Program;
  readonly executable: string | null;
  readonly foreignRoot: unknown;
  readonly ancestors: readonly Pick<Named, 'pid'>[];
}

/** null: its program is not known for one. */
export function roleOf(
  sender: Actor,
  victim: { readonly parentPid: number; readonly executable: string | null },
  signo: number,
): Role | null {
  const profession = PROFESSIONS.find((one) => practises(sender, one));
  if (profession === undefined) return null;
  const isParent = sender.pid === victim.parentPid;
  const isSame = sender.executable !== null && sender.executable === victim.executable;
  const isOne = {
    any: true,
    child: isParent,
    worker: isParent && isSame,
    sibling: isSame && sender.ancestors[0]?.pid === victim.parentPid,
  };
  const { role, shutsDown = false, stops = [] } = profession;
  const stop = stops.find(({ whom, signals }) => (signals.length === 0 || signals.includes(signo)) && isOne[whom]);
  return { role, stop: stop ?? null, shutsDown };
}

/** The nearest ancestor that runs the commands of others: a CI system's jobs, or what a language model asks for. By its name alone. */
export function runnerAmong(ancestors: readonly Named[]): (Named & { readonly role: SenderRoleValue }) | null {
  for (const { pid, name } of ancestors) {
    const role = roleNamed(name);
    if (role === 'ci_runner' || role === 'coding_agent') return { pid, name, role };
  }
  return null;
}

/** Whether it carries out what others ask for: a service manager, a container runtime. By its name alone. */
export function isCarrier(name: string): boolean {
  const role = roleNamed(name);
  return role === 'service_manager' || role === 'container_runtime';
}

/** Names that are remembered. */
const REMEMBERED_MAX = 256;
const remembered = new Memo<SenderRoleValue | null>(REMEMBERED_MAX);

function roleNamed(name: string): SenderRoleValue | null {
  const find = () => PROFESSIONS.find(({ executables, scripts }) => executables?.test(name) || scripts?.test(name));
  return remembered.of(name, () => find()?.role ?? null);
}

/** By its executable, never by its comm; by its script, if the executable runs scripts. */
function practises({ program, executable, foreignRoot }: Actor, profession: Profession): boolean {
  const { file, script } = program;
  if (file === null || executable === null) return false;
  if (profession.isOfSystem && (foreignRoot !== null || WRITABLE_BY_ANY.test(executable))) return false;
  return script === null ? profession.executables?.test(file) === true : profession.scripts?.test(script) === true;
}
