// SPDX-License-Identifier: Apache-2.0
// The identities of the processes of a termination: names, arguments, user, placement, service. Derived once from the facts, as plain
// values that the later stages only read. core/verdict/ decides which process sent a signal.
import { type Program, programOf } from '../naming/program.ts';
import type { OriginKey } from '../shares.ts';
import { type IdentitySourceValue, SERVICE_NAMESPACE } from '../telemetry/semconv.ts';
import type { Verdict } from '../verdict/verdict.ts';
import type { Actor, Death, Victim } from '../wire/event.ts';
import { Arguments, type ArgumentsMode } from './arguments.ts';
import { harmlessText } from './claims.ts';
import { type Container, containerOf, workloadIn } from './container.ts';
import { type Declared, declaredBy } from './declared.ts';
import {
  type ExecutableState,
  executableState,
  type ForeignRoot,
  foreignRoot,
  isInUserContainer,
} from './executable.ts';
import type { Host } from './host.ts';
import { type Named, type NamedAncestor, namedAncestors, type User } from './names.ts';
import { isContained, isUserManager, type Placement, placementOf } from './placement.ts';
import { type ContextValue, type ProcessContext, parseProcessContext } from './process-context.ts';
import { type Role, roleOf } from './role.ts';

export interface Identity extends Named {
  /** What the name is made of. */
  readonly program: Program;
  /** The file name of the executable; if it is not known, the kernel's comm. */
  readonly executableName: string;
  /** The path. null: not known. */
  readonly executable: string | null;
  /** null: its path is that of the machine, as far as is known. */
  readonly foreignRoot: ForeignRoot | null;
  /** Its path is one in a container that an unprivileged user started. */
  readonly inUserContainer: boolean;
  /** null: a file, as far as is known. */
  readonly executableState: ExecutableState | null;
  readonly arguments: Arguments;
  /** The effective user. */
  readonly user: User;
  /** null: not known. */
  readonly realUser: User | null;
  /** The user who logged in before the process was started. null: none, or not known. */
  readonly loginUser: User | null;
  readonly cgroup: string | null;
  readonly placement: Placement;
  /** null: it is in none, as far as the kernel knows. */
  readonly container: Container | null;
  /** Nearest first. */
  readonly ancestors: readonly NamedAncestor[];
}

export interface VictimIdentity extends Identity {
  readonly parentPid: number;
  readonly vpid: number;
  /** Start time, ns since 1970. */
  readonly startedNs: bigint;
  readonly buildId: string | null;
  /** Hash of the executable's head, tail and length; known of a crash whose files could be read. */
  readonly htlHash: string | null;
  /** Of Go's linker: the program has Go's runtime. null: it has another one, or it is not known. */
  readonly goBuildId: string | null;
  readonly context: ProcessContext;
  readonly declared: Declared;
  readonly serviceName: string;
  /** null: none. */
  readonly serviceNamespace: string | null;
  /** Where the name of the service is from. */
  readonly nameSource: IdentitySourceValue;
  /** Where the name of the service, or what the process declares instead of a name, is from. */
  readonly source: IdentitySourceValue;
}

export interface Identities {
  readonly victim: VictimIdentity;
  /** null: the verdict names no process as the sender. */
  readonly sender: Identity | null;
  /** null: the verdict names no process that made the kernel send the signal. */
  readonly trigger: Identity | null;
  /** null: the verdict names no process that stopped the victim before. */
  readonly stopper: Identity | null;
  /** null: there is no sender, or its program is not known for a role. */
  readonly role: Role | null;
}

/** The identities of the processes of one termination. */
export function identify(death: Death, verdict: Verdict, host: Host, mode: ArgumentsMode): Identities {
  const victim = victimOf(death, host, mode);
  const sender = verdict.sender === null ? null : identityOf(verdict.sender, host, mode);
  const trigger = verdict.trigger === null ? null : identityOf(verdict.trigger.task, host, mode);
  const stopper = verdict.stop?.sender == null ? null : identityOf(verdict.stop.sender, host, mode);
  const role = sender === null ? null : roleOf(sender, victim, verdict.signal?.signo ?? 0);
  return { victim, sender, trigger, stopper, role };
}

function victimOf({ process, clock_offset_ns, crash }: Death, host: Host, mode: ArgumentsMode): VictimIdentity {
  const identity = identityOf(process, host, mode);
  const context = parseProcessContext(process.otel_context);
  const declared = declaredBy(process, context, isContained(identity.placement));
  const derived = serviceOf(identity);
  const nameSource = declared.serviceName === null ? derived.source : (declared.source ?? derived.source);
  const project = nameSource === 'compose' ? (identity.container?.project ?? null) : null;
  return {
    ...identity,
    parentPid: process.parent_pid,
    vpid: process.vpid,
    startedNs: process.start_boottime_ns + clock_offset_ns,
    goBuildId: process.go_build_id === null ? null : harmlessText(process.go_build_id),
    buildId: process.build_id,
    htlHash: crash?.executable_htlhash ?? null,
    context,
    declared,
    serviceName: declared.serviceName ?? harmlessText(derived.name),
    serviceNamespace: textOf(declared.attributes[SERVICE_NAMESPACE]) ?? project,
    nameSource,
    source: declared.source ?? derived.source,
  };
}

export function identityOf(task: Actor | Victim, host: Host, mode: ArgumentsMode): Identity {
  const placement = placementOf(task);
  const userOf = (uid: number): User => ({ uid, name: userName(uid, task, placement, host) });
  const program = programOf(mode === 'off' ? { comm: task.comm, exe: task.exe } : task);
  return {
    pid: task.pid,
    name: program.name,
    program,
    executableName: program.file ?? task.comm,
    executable: task.exe,
    foreignRoot: foreignRoot(task.exe_flags),
    inUserContainer: isInUserContainer(task.exe_flags),
    executableState: executableState(task.exe_flags),
    arguments: new Arguments(task, mode),
    user: userOf(task.uid),
    realUser: task.real_uid === null ? null : userOf(task.real_uid),
    loginUser: task.login_uid === null ? null : userOf(task.login_uid),
    cgroup: task.cgroup,
    placement,
    container: containerOf(task, placement, host),
    ancestors: namedAncestors(task.ancestors, mode, userOf),
  };
}

/**
 * The host's /etc/passwd does not apply in a container and in another user namespace, but uid 0 is root: it is that of the initial user
 * namespace.
 */
function userName(uid: number, of: Actor | Victim, placement: Placement, host: Host): string | null {
  if (isContained(placement) || of.user_namespace) return uid === 0 ? 'root' : null;
  return host.userNames.get(uid) ?? null;
}

function textOf(value: ContextValue | undefined): string | null {
  return value === undefined ? null : String(value);
}

const SERVICE = '.service';

/**
 * The name of a process that declares none: from its systemd service, else its container, else its executable. The container of a pod is named
 * anew for each pod, and so is a container that is only numbered.
 */
function serviceOf({ executableName, placement, container }: Identity): { name: string; source: IdentitySourceValue } {
  const { unit, userUnit, containerName, podUid } = placement;
  if (unit?.endsWith(SERVICE) && !isUserManager(unit))
    return { name: unit.slice(0, -SERVICE.length), source: 'systemd_unit' };
  if (userUnit?.endsWith(SERVICE)) return { name: userUnit.slice(0, -SERVICE.length), source: 'user_unit' };
  if (containerName !== null) return { name: containerName, source: 'container' };
  if (container?.service) return { name: container.service, source: 'compose' };
  if (container?.name && podUid === null) return { name: container.name, source: 'container' };
  if (container?.hostname && !container.isNumbered)
    return {
      name: podUid === null ? container.hostname : workloadIn(container.hostname),
      source: 'container_hostname',
    };
  return { name: `unknown_service:${executableName}`, source: 'executable' };
}

/**
 * The key under which terminations are counted and aggregated as repetitions: facts of the kernel, then the name of the service. The name
 * may be a claim, so it never joins what the facts tell apart.
 */
export function serviceKey(victim: VictimIdentity, origin: OriginKey): string {
  const { serviceName, serviceNamespace, placement, user, executable, executableName } = victim;
  const { podUid, containerId, containerName, unit } = placement;
  // The name of a scope contains a pid or a session. A restarted container of a pod has another id.
  const container = podUid ?? containerId ?? containerName;
  const facts = [origin, container, unit?.endsWith(SERVICE) ? unit : null, user.uid, executable ?? executableName];
  return JSON.stringify([...facts, serviceNamespace, serviceName]);
}
