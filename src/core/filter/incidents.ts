// SPDX-License-Identifier: Apache-2.0
// Terminations that one act brought share an incident (docs/decisions/0097). The first one has a record; the others, its members, are
// reported together a second later. act.ts says what one termination shows of its act; telemetry/incident.ts builds the record of the
// members. Time is an argument.
import { Displaced, FairMap, type OriginKey } from '../shares.ts';
import { SECOND_NS } from '../time.ts';
import { type IncidentAct, namespaceKey, type Process, type Termination } from './act.ts';
import { type Part, type Root, type StoredIncident, storedLink } from './incident.ts';
import { add, type Member, PIDS_MAX } from './members.ts';
import { ACT_NS, extended, includes, type Window } from './window.ts';

/** How long members are collected: longer while they keep coming, as they do on a busy machine. */
const COLLECT_MS = 1_100;
const QUIET_MS = 300;
const QUIET_NS = BigInt(QUIET_MS) * 1_000_000n;
const COLLECT_MAX_MS = 5_000;
/** From the termination of a child with a status that the kernel chose, to that of the parent that passes it on. A code may be a coincidence sooner. */
const PASSED_ON_NS = 10n * SECOND_NS;
/** Incidents that are remembered, and what leads to them. */
export const INCIDENTS_MAX = 1024;
const LINKS_MAX = 4096;
/** Records of the members of one incident. Further members have records of their own. */
const PARTS_MAX = 16;

/** The incident of a termination, and what shows it. */
export interface Match {
  readonly id: string;
  readonly act: IncidentAct;
  /** What follows from it was read before, and is in the incident: it is the first one after all. */
  readonly isFirst?: boolean;
  /** It is the first one of its service or container, of several that one command had stopped: it has a record of its own. */
  readonly isFirstOfScope?: boolean;
}

interface Link {
  readonly id: string;
  readonly termination: Pick<Termination, 'process' | 'endedNs' | 'status' | 'scope'>;
}

interface Incident {
  value: StoredIncident;
  /** When the collection of members began, ms of a steady clock. undefined: in an earlier run. null: it is over. */
  openedMs: number | null | undefined;
  /** When the last termination joined, or others were read that are as old. */
  joinedMs: number;
  /** The last termination that joined, CLOCK_BOOTTIME. */
  lastNs: bigint;
  seq: bigint | null;
}

export class Incidents {
  readonly #separate: boolean;
  readonly #incidents = new FairMap<Incident>(INCIDENTS_MAX);
  /** Those that collect members. */
  readonly #open = new Set<Incident>();
  readonly #windows = new FairMap<Window>(LINKS_MAX);
  readonly #ended = new FairMap<Link>(LINKS_MAX);
  /** The last child of each process that is in an incident. */
  readonly #children = new FairMap<Link>(LINKS_MAX);
  /** The last process of each service that init started, and that is the first of an incident. */
  readonly #mains = new FairMap<Link>(INCIDENTS_MAX);
  /** Incidents whose members were reported early, and that are forgotten. */
  readonly closedEarly = new Displaced();
  #closed: Part[] = [];

  /** `separate`: each termination has a record of its own. `before`: the result of open() in the previous run. */
  constructor(separate: boolean, before: readonly StoredIncident[] = []) {
    this.#separate = separate;
    for (const value of before) this.#restore(value);
  }

  /** The incident that a termination belongs to. null: none that is known. */
  find(one: Termination): Match | null {
    const { key, passedOnKey, act } = one;
    return (
      this.#before(one) ??
      this.#afterEnd(one) ??
      this.#sameAct(key, one, act) ??
      this.#sameAct(passedOnKey, one, 'terminal') ??
      this.#afterMain(one) ??
      this.#sibling(one) ??
      this.#passedOn(one)
    );
  }

  /** Whether it is reported with the other members. False: it needs a record of its own. */
  isMember(match: Match, one: Termination): boolean {
    const incident = this.#incidents.get(match.id);
    const isFirst = match.isFirst || match.isFirstOfScope;
    if (incident === undefined || this.#separate || one.standsOut || isFirst) return false;
    const { openedMs, value } = incident;
    return openedMs !== null || (one.refused === null && value.parts < PARTS_MAX);
  }

  /** Adds a member that was read at `nowMs`, from this position of the ring. */
  addMember(match: Match, one: Termination, member: Member, seq: bigint, nowMs: number): void {
    const incident = this.#incidents.get(match.id);
    if (incident === undefined) return;
    const { value } = incident;
    const act = value.members === null && value.parts === 0 ? match.act : value.act;
    incident.value = { ...value, act, total: value.total + 1, members: add(value.members, member) };
    incident.seq ??= seq;
    this.#collect(incident, nowMs, one.endedNs);
    this.link(match, one, value.origin);
  }

  /** Until when the kernel may only count further members like this one, CLOCK_BOOTTIME: their pids are not listed. null: they are. */
  countUntil(id: string, { actNs }: Termination): bigint | null {
    const { total = 0 } = this.#incidents.get(id)?.value ?? {};
    return total > PIDS_MAX ? actNs + ACT_NS : null;
  }

  /** Adds members that the kernel counted: the last one, and their number. False: the incident is not known any more. */
  addCounted(id: string, last: Member, count: number, nowMs: number): boolean {
    const incident = this.#incidents.get(id);
    if (incident === undefined || incident.value.parts >= PARTS_MAX) return false;
    const { value } = incident;
    incident.value = { ...value, total: value.total + count, members: add(value.members, last, count) };
    this.#collect(incident, nowMs);
    return true;
  }

  /** Remembers a termination of an incident for those that follow from it. */
  link({ id }: Match, one: Termination, origin: OriginKey): void {
    const link = { id, termination: one };
    this.#ended.set(keyOf(one.process), origin, link);
    this.#children.set(String(one.process.parentPid), origin, link);
    if (one.key !== null) this.#windows.set(one.key, origin, extended(this.#windows.get(one.key), id, one));
  }

  /** Adds a termination that has a record: the first of an incident, or one that stands out. */
  report(id: string, match: Match | null, one: Termination, origin: OriginKey, root: Root, nowMs: number): void {
    this.link({ id, act: one.act }, one, origin);
    const known = match === null ? undefined : this.#incidents.get(match.id);
    if (known !== undefined) {
      const first = match?.isFirst ? { root } : {};
      known.value = { ...known.value, ...first, total: known.value.total + 1 };
      if (!this.#separate) this.#collect(known, nowMs, one.endedNs);
      return;
    }
    if (one.service !== null) this.#mains.set(one.service, origin, { id, termination: one });
    if (this.#separate) return;
    const [firstNs, link] = [String(one.actNs), storedLink(one)];
    const killNs = one.killNs === null ? null : String(one.killNs);
    const same = { id, origin, act: one.act, key: one.key, firstNs, lastNs: firstNs, killNs, link, root };
    const incident = {
      value: { ...same, parts: 0, total: 1, members: null },
      openedMs: null,
      joinedMs: nowMs,
      lastNs: one.endedNs,
      seq: null,
    };
    this.#remember(incident);
    this.#collect(incident, nowMs);
  }

  /** Those that collect members, in stored form: one that has not changed is the same object. */
  open(): readonly StoredIncident[] {
    return [...this.#open].map(({ value }) => value);
  }

  /** Events up to `timeNs` (CLOCK_BOOTTIME) are read and stored. Members that ended soon after the last one may not have been read yet. */
  readUntil(timeNs: bigint, nowMs: number): void {
    for (const incident of this.#open)
      if (incident.value.members !== null && timeNs - incident.lastNs < QUIET_NS) incident.joinedMs = nowMs;
  }

  /** Nothing is collected, and nothing is due. */
  get idle(): boolean {
    return this.#open.size === 0 && this.#closed.length === 0;
  }

  /** The position of the first member in the ring that is not in a result of due() yet. null: there is none. */
  get firstSeq(): bigint | null {
    const seqs = [...this.#open, ...this.#closed].flatMap(({ seq }) => (seq === null ? [] : [seq]));
    return seqs.reduce<bigint | null>((least, seq) => (least === null || seq < least ? seq : least), null);
  }

  /** The members whose time is over at `nowMs`, each returned once. Infinity: all. */
  due(nowMs: number): readonly Part[] {
    for (const incident of this.#open) if (this.#isOver(incident, nowMs)) this.#close(incident);
    const closed = this.#closed;
    this.#closed = [];
    return closed;
  }

  #isOver(incident: Incident, nowMs: number): boolean {
    // What of an earlier run waits in the ring joins first.
    incident.openedMs ??= nowMs;
    const [elapsedMs, quietMs] = [nowMs - incident.openedMs, nowMs - incident.joinedMs];
    if (nowMs === Number.POSITIVE_INFINITY || elapsedMs >= COLLECT_MAX_MS) return true;
    return elapsedMs >= COLLECT_MS && quietMs >= QUIET_MS;
  }

  #collect(incident: Incident, nowMs: number, endedNs = incident.lastNs): void {
    incident.openedMs ??= nowMs;
    incident.joinedMs = nowMs;
    incident.lastNs = endedNs;
    this.#open.add(incident);
  }

  #close(incident: Incident): void {
    this.#open.delete(incident);
    incident.openedMs = null;
    const { value, seq } = incident;
    if (value.members === null) return;
    this.#closed.push({ incident: value, members: value.members, seq });
    incident.value = { ...value, parts: value.parts + 1, members: null };
    incident.seq = null;
  }

  #remember(incident: Incident): void {
    const { id, origin } = incident.value;
    const displaced = this.#incidents.set(id, origin, incident);
    if (displaced === null) return;
    if (this.#open.has(displaced.value)) this.closedEarly.add(displaced.origin);
    this.#close(displaced.value);
  }

  #restore(value: StoredIncident): void {
    const { id, origin, key, firstNs, lastNs, killNs = null, link } = value;
    const { pid, startNs, parentPid, endedNs, status, scope, service = null } = link;
    const process = { pid, start_boottime_ns: BigInt(startNs), parentPid };
    const known = { id, termination: { process, endedNs: BigInt(endedNs), status, scope } };
    this.#ended.set(keyOf(process), origin, known);
    this.#children.set(String(parentPid), origin, known);
    if (service !== null) this.#mains.set(service, origin, known);
    const window = {
      id,
      firstNs: BigInt(firstNs),
      lastNs: BigInt(lastNs),
      killNs: killNs === null ? null : BigInt(killNs),
    };
    if (key !== null) this.#windows.set(key, origin, window);
    const incident = { value, openedMs: undefined, joinedMs: 0, lastNs: known.termination.endedNs, seq: null };
    this.#remember(incident);
    this.#open.add(incident);
  }

  /** The init of a pid namespace may wait for the end of the command that asked, and the rest of the namespace passes it. */
  #before({ process }: Termination): Match | null {
    const window = this.#windows.get(namespaceKey(process));
    return window === undefined ? null : { id: window.id, act: 'namespace_exit', isFirst: true };
  }

  #afterEnd({ follows, act }: Termination): Match | null {
    const link = follows === null ? undefined : this.#ended.get(keyOf(follows));
    return link === undefined ? null : { id: link.id, act };
  }

  #sameAct(key: string | null, one: Termination, act: IncidentAct): Match | null {
    const window = key === null ? undefined : this.#windows.get(key);
    return window !== undefined && includes(window, one) ? { id: window.id, act } : null;
  }

  /** What the main process of a service leaves behind, and what ends because that is gone: by itself, or since init stops the rest. */
  #afterMain({ service, process, key, byParent, passesOn, actNs, endedNs, status }: Termination): Match | null {
    const main = service === null || status === 0 ? undefined : this.#mains.get(service);
    if (main === undefined) return null;
    const { process: itself, endedNs: mainNs, status: mainStatus } = main.termination;
    // A request that it handled before is not why it exits.
    const exits = key === null || (passesOn && actNs < mainNs);
    const atNs = exits ? endedNs : actNs;
    const startNs = process.start_boottime_ns;
    const isOrphan = startNs >= itself.start_boottime_ns && startNs < mainNs;
    const isAfter = (exits || byParent) && atNs >= mainNs && atNs - mainNs <= ACT_NS;
    return isOrphan && isAfter && mainStatus !== 0 ? { id: main.id, act: 'exit' } : null;
  }

  /** A parent that terminates its other children after one of them failed: a database after a crash, `concurrently --kill-others`. */
  #sibling({ byParent, process, actNs, scope }: Termination): Match | null {
    const child = byParent ? this.#children.get(String(process.parentPid)) : undefined;
    if (child === undefined) return null;
    const { endedNs, status, scope: childScope } = child.termination;
    const isAfter = actNs >= endedNs && actNs - endedNs <= ACT_NS;
    return isAfter && status !== 0 && childScope === scope ? { id: child.id, act: 'crash' } : null;
  }

  /** A shell, npm, or another wrapper that ends with the status of its child. */
  #passedOn({ passesOn, process, endedNs, status }: Termination): Match | null {
    const child = passesOn && status !== 0 ? this.#children.get(String(process.pid)) : undefined;
    if (child === undefined || child.termination.status !== status) return null;
    const { process: itself, endedNs: childNs } = child.termination;
    const within = status > 128 ? PASSED_ON_NS : ACT_NS;
    const isOwn = itself.start_boottime_ns >= process.start_boottime_ns && endedNs >= childNs;
    return isOwn && endedNs - childNs <= within ? { id: child.id, act: 'exit' } : null;
  }
}

function keyOf({ pid, start_boottime_ns: startNs }: Process): string {
  return `${pid}/${startNs}`;
}
