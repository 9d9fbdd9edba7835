// SPDX-License-Identifier: Apache-2.0
// Which terminations may belong to a loop (loops.ts), and what makes two of them those of the same program: its file, its arguments, its user,
// the service that it says it is, and its place. The place is the service, container or pod, and the supervisor, else the parent.
import { hash } from 'node:crypto';
import type { ArgumentsMode } from '../identity/arguments.ts';
import { declaredBy } from '../identity/declared.ts';
import type { VictimIdentity } from '../identity/identity.ts';
import { originOf } from '../identity/origin.ts';
import { isContained, type Placement, placementOf } from '../identity/placement.ts';
import { parseProcessContext } from '../identity/process-context.ts';
import { Memo } from '../memo.ts';
import { displayName, programOf } from '../naming/program.ts';
import type { OriginKey } from '../shares.ts';
import { signalName } from '../verdict/signals.ts';
import type { Verdict } from '../verdict/verdict.ts';
import type { Ancestor } from '../wire/ancestor.ts';
import type { Death, Restart, Victim } from '../wire/event.ts';
import type { Process } from './act.ts';
import type { Candidate } from './aggregate.ts';
import type { Rule } from './rules.ts';

/** What a loop's records say of its program: of the last termination. */
export interface LoopAbout extends Pick<Candidate, 'cause' | 'executable' | 'sender' | 'severity' | 'resource'> {
  readonly name: string;
  readonly pid: number;
  /** The uid of the termination. */
  readonly uid: string;
  /** What started it: `supervisord (pid 99)`. null: not known. */
  readonly restarter: string | null;
  /** Its main process is started by systemd. */
  readonly isUnit: boolean;
  readonly cgroup: string | null;
}

export interface LoopMember {
  readonly key: string;
  readonly origin: OriginKey;
  /** Its parent. */
  readonly starter: Starter;
  /** The nearest supervisor above it, by its name, which starts it and what is between. null: there is none. */
  readonly supervisor: Starter | null;
  readonly parent: string;
  /** pid and start. */
  readonly process: string;
  /** Since boot. */
  readonly startNs: bigint;
  readonly endNs: bigint;
  /** From the time since boot to that since 1970. */
  readonly offsetNs: bigint;
  readonly outcome: string;
  /** It ended with an exit code. */
  readonly exited: boolean;
  /** As of Candidate. */
  readonly command: Candidate['command'];
  readonly mode: ArgumentsMode;
  readonly about: LoopAbout;
}

/** What starts a program, or what runs it, again and again. */
export interface Starter {
  /** null: not known. */
  readonly process: Ancestor | null;
  readonly isSupervisor: boolean;
  /** When it started the program, or the first process between it and the program: since boot. */
  readonly startNs: bigint;
  /** The processes between: pid and start. */
  readonly wrappers: readonly string[];
}

/** Programs that start others again when they terminate. By their comm, or by their script. */
const SUPERVISORS =
  /^(?:systemd|\(systemd\)|init|openrc-init|dinit|supervise-daemo|s6-supervise|runsv|supervise|perpd|supervisord|monit|circusd|immortal|god|pm2.*|PM2 .*|process-compos|overmind|goreman|hivemind|honcho|foreman|forever|nodemon|nomad|heart|containerd-shim|conmon)$/;
const SUPERVISING_SCRIPTS =
  /^(?:supervisord|supervisor|circusd|honcho|foreman|forever|nodemon|pm2|pm2-runtime|pm2-docker|pm2-dev)(?:\.m?js)?$/;
/** The comm of an interpreter of such scripts. */
const INTERPRETERS = /^(?:node|MainThread|python|ruby)/;
const SYSTEMD = /^\(?systemd\)?$/;

/** null: the termination belongs to no loop. It was asked for, or a rule of the user filters it. */
export function loopMember(
  death: Death,
  verdict: Verdict,
  victim: VictimIdentity,
  candidate: Candidate,
  rule: Rule,
  uid: string,
  mode: ArgumentsMode,
): LoopMember | null {
  const { process, time_ns: endNs, clock_offset_ns: offsetNs } = death;
  if (rule.isFinal || verdict.cause === 'graceful_stop' || candidate.severity.number <= INFO) return null;
  const supervisor = supervisorOf(process);
  const key = keyOf(death, supervisor, victim.declared.serviceName);
  if (key === null) return null;
  const { cause, executable, sender, severity, resource, origin } = candidate;
  const { unit, userUnit } = victim.placement;
  const starter = parentOf(process);
  return {
    key,
    origin,
    starter,
    supervisor,
    parent: String(process.parent_pid),
    process: processKey(process),
    startNs: process.start_boottime_ns,
    endNs,
    offsetNs,
    outcome: outcomeOf(verdict),
    exited: verdict.exitCode !== null,
    command: candidate.command,
    mode,
    about: {
      name: victim.name,
      pid: process.pid,
      uid,
      restarter: starter.process === null ? null : starterLabel(starter.process, mode),
      isUnit: SYSTEMD.test(supervisor?.process?.comm ?? '') && /\.service$/.test(unit ?? userUnit ?? ''),
      cgroup: victim.cgroup,
      ...{ cause, executable, sender, severity, resource },
    },
  };
}

/** A program that was started again. */
export interface Comeback {
  /** The process that it replaces: pid and start. */
  readonly dead: string;
  /** null: not known. */
  readonly key: string | null;
  /** Since boot. */
  readonly atNs: bigint;
  /** As `restarter` of LoopAbout. */
  readonly by: string | null;
}

export function comebackOf(restart: Restart, mode: ArgumentsMode): Comeback {
  const { process, dead, time_ns: atNs } = restart;
  const supervisor = supervisorOf(process);
  const { process: starter } =
    supervisor !== null && supervisor.startNs >= dead.time_ns ? supervisor : parentOf(process);
  const by = starter === null ? null : starterLabel(starter, mode);
  return { dead: processKey(dead), key: loopKey(restart), atNs, by };
}

/** SeverityNumber of what is no failure: a request to terminate, or Ctrl-C. */
const INFO = 9;

/** The program of a process, and its place. null: not known. It does not contain the arguments, since it is stored. */
export function loopKey(event: Event): string | null {
  const { process } = event;
  const declared = declaredBy(process, parseProcessContext(process.otel_context), isContained(placementOf(process)));
  return keyOf(event, supervisorOf(process), declared.serviceName);
}

type Event = Pick<Death | Restart, 'origin' | 'process'>;

/** `serviceName`: a claim. It never joins what the facts tell apart. */
function keyOf({ origin, process }: Event, supervisor: Starter | null, serviceName: string | null): string | null {
  const { uid, exe, args, parent_pid: parentPid } = process;
  if (exe === null || args === null) return null;
  const place = placeOf(placementOf(process));
  const by = supervisor?.process ?? null;
  const starter = by === null ? parentPid : place === null ? by.pid : by.comm;
  const facts = JSON.stringify([originOf({ origin, process }), place, starter, serviceName, uid, exe, args]);
  return remembered.of(facts, () => hash('sha1', facts));
}

/** Keys that are remembered. */
const REMEMBERED_MAX = 256;
const remembered = new Memo<string>(REMEMBERED_MAX);

/** What a supervisor starts anew, and keeps its name then. null: none. */
function placeOf({ podUid, containerId, containerName, unit, userUnit }: Placement): string | null {
  const units = [unit, userUnit].filter((name) => name !== null && LASTING_UNIT.test(name));
  return podUid ?? containerId ?? containerName ?? (units.join('/') || null);
}

/** A service; a container that a user's manager has. Other scopes get another name each time. */
const LASTING_UNIT = /\.service$|-[0-9a-f]{64}\.scope$/;

function parentOf({ ancestors: [parent], start_boottime_ns: startNs }: Victim): Starter {
  return { process: parent ?? null, isSupervisor: false, startNs, wrappers: [] };
}

function supervisorOf({ ancestors, start_boottime_ns: startNs }: Victim): Starter | null {
  const at = ancestors.findIndex(isSupervisor);
  const process = ancestors[at];
  if (process === undefined) return null;
  const between = ancestors.slice(0, at);
  const startedNs = at === 0 ? startNs : between[at - 1]?.start_boottime_ns;
  if (startedNs === undefined) return null;
  const wrappers = between.flatMap(({ pid, start_boottime_ns: ns }) =>
    ns === undefined ? [] : [processKey({ pid, start_boottime_ns: ns })],
  );
  return { process, isSupervisor: true, startNs: startedNs, wrappers };
}

function isSupervisor({ comm, exe, args }: Ancestor): boolean {
  if (SUPERVISORS.test(comm)) return true;
  if (!INTERPRETERS.test(comm) || exe === undefined || args === undefined) return false;
  const { script } = programOf({ comm, exe, args });
  return script !== null && SUPERVISING_SCRIPTS.test(script);
}

function processKey({ pid, start_boottime_ns: startNs }: Process): string {
  return `${pid}/${startNs}`;
}

/** `supervisord (pid 99)`, as records of terminations name it. */
export function starterLabel({ pid, comm, exe = null, args = null }: Ancestor, mode: ArgumentsMode): string {
  return `${displayName({ comm, exe, args: mode === 'off' ? null : args })} (pid ${pid})`;
}

/** How it ended, so that equal outcomes are equal texts: `exit code 9`, `SIGSEGV`, `out of memory`. */
export function outcomeOf({ cause, exitCode, signo }: Pick<Verdict, 'cause' | 'exitCode' | 'signo'>): string {
  if (exitCode !== null) return `exit code ${exitCode}`;
  return cause === 'oom_kill' ? 'out of memory' : signalName(signo);
}
