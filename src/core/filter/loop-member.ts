// SPDX-License-Identifier: Apache-2.0
// Which terminations may belong to a loop (loops.ts), and what makes two of them those of the same program: its file, its arguments, its user,
// and its place. The place is the service, container or pod whose manager starts it, else its parent.
import { hash } from 'node:crypto';
import type { VictimIdentity } from '../identity/identity.ts';
import { originOf } from '../identity/origin.ts';
import { placementOf } from '../identity/placement.ts';
import { Memo } from '../memo.ts';
import type { OriginKey } from '../shares.ts';
import { signalName } from '../verdict/signals.ts';
import type { Verdict } from '../verdict/verdict.ts';
import type { Ancestor } from '../wire/ancestor.ts';
import type { Death, Restart } from '../wire/event.ts';
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
  /** By its name, its parent starts programs again. */
  readonly supervised: boolean;
  readonly parent: string;
  /** pid and start. */
  readonly process: string;
  /** Since boot. */
  readonly startNs: bigint;
  readonly endNs: bigint;
  /** From the time since boot to that since 1970. */
  readonly offsetNs: bigint;
  readonly outcome: string;
  /** As of Candidate. */
  readonly command: Candidate['command'];
  readonly about: LoopAbout;
}

/** Parents that start a program again when it terminates, or whose child is what another one starts again. By their comm. */
const SUPERVISORS =
  /^(?:systemd|\(systemd\)|init|openrc-init|dinit|supervise-daemo|s6-supervise|runsv|supervise|perpd|supervisord|monit|circusd|immortal|god|pm2.*|PM2 .*|process-compos|overmind|goreman|hivemind|honcho|foreman|forever|nodemon|nomad|heart|containerd-shim|conmon|docker-init|tini|dumb-init|catatonit)$/;
const SYSTEMD = /^\(?systemd\)?$/;

/** null: the termination belongs to no loop. It was asked for, or a rule of the user filters it. */
export function loopMember(
  death: Death,
  verdict: Verdict,
  victim: VictimIdentity,
  candidate: Candidate,
  rule: Rule,
  uid: string,
): LoopMember | null {
  const { process, time_ns: endNs, clock_offset_ns: offsetNs } = death;
  if (rule.isFinal || verdict.cause === 'graceful_stop' || candidate.severity.number <= INFO) return null;
  const key = loopKey(death);
  if (key === null) return null;
  const { cause, executable, sender, severity, resource, origin } = candidate;
  const [parent] = process.ancestors;
  const { unit, userUnit } = victim.placement;
  return {
    key,
    origin,
    supervised: isSupervised(parent),
    parent: String(process.parent_pid),
    process: processKey(process),
    startNs: process.start_boottime_ns,
    endNs,
    offsetNs,
    outcome: outcomeOf(verdict),
    command: candidate.command,
    about: {
      name: victim.name,
      pid: process.pid,
      uid,
      restarter: parent === undefined ? null : starterLabel(parent),
      isUnit: SYSTEMD.test(parent?.comm ?? '') && /\.service$/.test(unit ?? userUnit ?? ''),
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

export function comebackOf(restart: Restart): Comeback {
  const [starter] = restart.process.ancestors;
  const by = starter === undefined ? null : starterLabel(starter);
  return { dead: processKey(restart.dead), key: loopKey(restart), atNs: restart.time_ns, by };
}

/** SeverityNumber of what is no failure: a request to terminate, or Ctrl-C. */
const INFO = 9;

/** The program of a process, and its place. null: not known. It does not contain the arguments, since it is stored. */
export function loopKey({ origin, process }: Pick<Death | Restart, 'origin' | 'process'>): string | null {
  if (process.exe === null || process.args === null) return null;
  const { podUid, containerId, containerName, unit } = placementOf(process);
  const [parent] = process.ancestors;
  const place = podUid ?? containerId ?? containerName ?? (unit?.endsWith('.service') ? unit : null);
  const by = isSupervised(parent) && place !== null ? parent?.comm : process.parent_pid;
  const { uid, exe, args } = process;
  const facts = JSON.stringify([originOf({ origin, process }), place, by, uid, exe, args]);
  return remembered.of(facts, () => hash('sha1', facts));
}

/** Keys that are remembered. */
const REMEMBERED_MAX = 256;
const remembered = new Memo<string>(REMEMBERED_MAX);

function processKey({ pid, start_boottime_ns: startNs }: Pick<Restart['dead'], 'pid' | 'start_boottime_ns'>): string {
  return `${pid}/${startNs}`;
}

/** `supervisord (pid 99)`: by its comm. */
function starterLabel({ comm, pid }: Ancestor): string {
  return `${comm} (pid ${pid})`;
}

/** How it ended, so that equal outcomes are equal texts: `exit code 9`, `SIGSEGV`, `out of memory`. */
export function outcomeOf({ cause, exitCode, signo }: Pick<Verdict, 'cause' | 'exitCode' | 'signo'>): string {
  if (exitCode !== null) return `exit code ${exitCode}`;
  return cause === 'oom_kill' ? 'out of memory' : signalName(signo);
}

function isSupervised(parent: Ancestor | undefined): boolean {
  return parent !== undefined && SUPERVISORS.test(parent.comm);
}
