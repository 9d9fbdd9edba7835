// SPDX-License-Identifier: Apache-2.0
// Finds the request behind a termination: the command by which someone asked the sender of the signal to act. It is named only with its
// basis, and what a command line says counts only for those whom the carrier obeys (docs/decisions/0093). Time is an argument.
import type { ArgumentsMode } from '../identity/arguments.ts';
import type { Host } from '../identity/host.ts';
import { type Identities, type Identity, identityOf, type VictimIdentity } from '../identity/identity.ts';
import type { User } from '../identity/names.ts';
import { isCarrier } from '../identity/role.ts';
import { fileName } from '../naming/program.ts';
import type { RequesterBasisValue } from '../telemetry/semconv.ts';
import { SECOND_NS } from '../time.ts';
import { SIGKILL } from '../verdict/signals.ts';
import type { Verdict } from '../verdict/verdict.ts';
import type { Actor, Death, Signal } from '../wire/event.ts';
import type { Ask } from './ask.ts';
import { carrierOf, engineOf, isGenuine, mayAsk } from './carrier.ts';
import { keyOf } from './key.ts';
import { personOf } from './person.ts';
import type { Known } from './requests.ts';
import { type Match, matchOf } from './target.ts';
import type { Carrier } from './tools.ts';

/** How long after the end of a tool that does not wait its carrier may act: for what it named, and for anything. */
const LATER_NAMED_NS = 120n * SECOND_NS;
const LATER_NS = 10n * SECOND_NS;
/** How long services may take to stop when the machine is turned off. */
const SHUTDOWN_NS = 120n * SECOND_NS;

export interface Requester {
  readonly identity: Identity;
  /** Who executed it: the user who logged in, or the one behind sudo. */
  readonly person: User;
  readonly basis: RequesterBasisValue;
  readonly act: Ask['act'];
  readonly request: Known['request'];
}

export interface Circumstances {
  /** In the order in which they were executed. */
  readonly known: readonly Known[];
  readonly host: Host;
  readonly mode: ArgumentsMode;
}

interface Candidate {
  readonly known: Known;
  readonly identity: Identity;
  readonly match: Match;
  /** The carrier obeys its user. */
  readonly isObeyed: boolean;
  /** It asked: it ended with success, or runs and is obeyed. */
  readonly isConfirmed: boolean;
  /** It asked the engine of the container in which the carrier is. */
  readonly throughEngine: boolean;
}

/** null: none, or not known. A tool that still runs has asked if its user is obeyed. */
export function requesterOf(
  death: Death,
  verdict: Verdict,
  identities: Identities,
  circumstances: Circumstances,
): Requester | null {
  const { host, known } = circumstances;
  if (known.length === 0) return null;
  const parent = verdict.sender === null ? null : ancestorOf(verdict.sender, known);
  if (parent !== null) {
    const identity = identityIn(parent, circumstances);
    return found({ known: parent, identity, throughEngine: false }, 'ancestor', host);
  }
  const candidates = candidatesFor(death, verdict, identities, circumstances);
  const certain = certainOf(candidates);
  if (certain !== null && !isOfEngine(certain)) return found(certain, 'target', host);
  const [only, ...more] = candidates.filter((one) => one.isConfirmed && !isOfEngine(one));
  if (only !== undefined && more.length === 0) return found(only, 'time', host);
  return certain === null ? null : found(certain, 'target', host);
}

/** Whether the end of a tool that still runs decides who asked. */
export function awaitsEnd(
  death: Death,
  verdict: Verdict,
  identities: Identities,
  circumstances: Circumstances,
): boolean {
  if (verdict.sender !== null && ancestorOf(verdict.sender, circumstances.known) !== null) return false;
  const candidates = candidatesFor(death, verdict, identities, circumstances);
  const certain = certainOf(candidates);
  return (certain === null || isOfEngine(certain)) && candidates.some(({ known }) => known.end === null);
}

/** What may have asked for it: a request of its carrier, that was open, and names nothing else. */
function candidatesFor(
  death: Death,
  verdict: Verdict,
  identities: Identities,
  circumstances: Circumstances,
): readonly Candidate[] {
  const { known, host } = circumstances;
  const deed = known.length === 0 ? null : deedOf(death, verdict, identities);
  if (deed === null) return [];
  const claimed = { ...identities.victim, cgroupClaimed: death.process.cgroup_claimed };
  const candidates = known.flatMap((one) => {
    const carrier = deed.carriers.find((asked) => one.ask.carriers.includes(asked));
    if (carrier === undefined || !deed.isFor(one)) return [];
    const match = one.ask.kind === 'init' ? matchInit(one.ask, deed) : matchOf(one.ask, claimed, host.userNames);
    if (match === 'other' || !wasOpen(one, match, deed.atNs) || startedSince(one, death, deed)) return [];
    const candidate = candidateOf(one, match, deed, carrier, circumstances);
    return candidate === null ? [] : [candidate];
  });
  // Of several containers, only the signal shows which one the engine stopped.
  const engineActed = candidates.some(isOfEngine);
  return outermost(candidates.filter(({ throughEngine, match }) => !throughEngine || match === 'named' || engineActed));
}

/** What a carrier did, perhaps because it was asked to. */
interface Deed {
  readonly by: Identity;
  /** Whose requests it obeys, beside those of root. */
  readonly carrierUid: number;
  /** The first one did it. It may have been asked by the others: an engine has the systemd of a container stop everything in it. */
  readonly carriers: readonly Carrier[];
  readonly carrierStartNs: bigint;
  readonly atNs: bigint;
  /** Whether a request may ask for such a thing. */
  readonly isFor: (known: Known) => boolean;
}

/** null: no carrier did it. */
function deedOf(death: Death, verdict: Verdict, { sender, victim, role }: Identities): Deed | null {
  // The init turned its own pid namespace off: the command is one of its machine.
  if (verdict.cause === 'namespace_exit' && verdict.signo !== SIGKILL) {
    const { start_boottime_ns: carrierStartNs, uts_hostname: hostname } = death.process;
    const isFor = ({ ask, request }: Known): boolean => {
      if (ask.act !== 'shutdown') return ask.act !== 'start' && !ask.carriers.includes('systemd');
      return ask.kind === 'init' || request.process.uts_hostname === hostname;
    };
    const carrierUid = victim.user.uid;
    return {
      by: victim,
      carrierUid,
      carriers: insideOut('systemd', victim, victim),
      carrierStartNs,
      atNs: death.time_ns,
      isFor,
    };
  }
  if (sender === null || verdict.sender === null || verdict.signal === null) return null;
  const atNs = firstSignal(verdict.signal, death.request).time_ns;
  const carrier = carrierOf(sender, role, victim);
  if (carrier === null) return deedOfCommand(verdict.sender, sender, victim, atNs);
  const { start_boottime_ns: carrierStartNs } = verdict.sender;
  const carriers = insideOut(carrier, sender, victim);
  return { by: sender, carrierUid: sender.user.uid, carriers, carrierStartNs, atNs, isFor: asksToStop };
}

/** ExecStop=: a command that systemd started in the unit of the victim, after it was asked. */
function deedOfCommand(task: Actor, sender: Identity, victim: VictimIdentity, atNs: bigint): Deed | null {
  const { unit } = victim.placement;
  const manager = task.ancestors.find(({ exe, uid }) => uid === 0 && fileName(exe ?? null) === 'systemd');
  if (manager?.start_boottime_ns === undefined || unit === null || sender.placement.unit !== unit) return null;
  const isFor = (known: Known): boolean => asksToStop(known) && known.request.time_ns <= task.start_boottime_ns;
  const carrierStartNs = manager.start_boottime_ns;
  return { by: sender, carrierUid: 0, carriers: insideOut('systemd', sender, victim), carrierStartNs, atNs, isFor };
}

function asksToStop({ ask }: Known): boolean {
  return ask.act !== 'start';
}

/** With the engine of the container in which it is, where the victim is, too. */
function insideOut(carrier: Carrier, by: Identity, victim: VictimIdentity): readonly Carrier[] {
  const container = containerOf(by);
  const isInside = carrier === 'systemd' && container !== null && container === containerOf(victim);
  return isInside ? [carrier, engineOf(victim) ?? carrier] : [carrier];
}

function matchInit({ targets }: Ask, { by, carrierStartNs }: Deed): Match {
  return targets.includes(keyOf({ pid: by.pid, start_boottime_ns: carrierStartNs })) ? 'named' : 'other';
}

/** The first signal of this sender: what followed, followed from it. */
function firstSignal(signal: Signal, request: Signal | null): Signal {
  return request !== null && keyOf(request.sender) === keyOf(signal.sender) ? request : signal;
}

/** The tool that started the sender: `podman stop` executes runc. */
function ancestorOf({ ancestors }: Actor, known: readonly Known[]): Known | null {
  const keys = new Set(
    ancestors.flatMap(({ pid, start_boottime_ns: startNs }) => (startNs ? [`${pid}/${startNs}`] : [])),
  );
  const isTool = ({ ask }: Known): boolean => ask.act !== 'start' && ask.kind !== 'init';
  return known.find((one) => isTool(one) && keys.has(keyOf(one.request.process))) ?? null;
}

function wasOpen({ ask, request, end }: Known, match: Match, atNs: bigint): boolean {
  const fromNs = request.time_ns + BigInt(ask.delayS) * SECOND_NS;
  if (fromNs > atNs) return false;
  if (ask.act === 'shutdown') return atNs <= fromNs + SHUTDOWN_NS;
  if (end === null || atNs <= end.atNs) return true;
  if (!ask.isAsync && !end.bySignal) return false;
  return atNs - end.atNs <= (match === 'named' ? LATER_NAMED_NS : LATER_NS);
}

/** What was started since was not meant. A shutdown means all processes, of a machine or container that has not started again. */
function startedSince({ ask, request }: Known, { process }: Death, { carrierStartNs }: Deed): boolean {
  return request.time_ns < (ask.act === 'shutdown' ? carrierStartNs : process.start_boottime_ns);
}

/** null: it counts for nothing. */
function candidateOf(
  known: Known,
  match: Match,
  { by, carrierUid, carriers }: Deed,
  carrier: Carrier,
  circumstances: Circumstances,
): Candidate | null {
  const identity = identityIn(known, circumstances);
  const throughEngine = carrier !== carriers[0];
  // The kernel let it send the signal, whichever program it is.
  if (known.ask.kind === 'init') return { known, identity, match, isObeyed: true, isConfirmed: true, throughEngine };
  // A program of a user may be called runc, too: the others asked root's.
  if (carrierUid !== 0 && !throughEngine && known.request.process.uid !== carrierUid) return null;
  if (!isGenuine(known, identity, carrierUid)) return null;
  // systemctl reaches the systemd of its own container.
  const isSystemd = carrier === 'systemd' || carrier === 'user_systemd';
  if (isSystemd && containerOf(identity) !== containerOf(by)) return null;
  const isObeyed = mayAsk(known, carrierUid);
  const hasEnded = known.end !== null && !known.end.bySignal;
  return { known, identity, match, isObeyed, isConfirmed: hasEnded || isObeyed, throughEngine };
}

/** A signal to the init of a container, by the engine that runs it: someone asked for it. */
function isOfEngine({ known, identity }: Candidate): boolean {
  const isOfHost = containerOf(identity) === null && !identity.inUserContainer && identity.foreignRoot === null;
  return known.ask.kind === 'init' && isOfHost && isCarrier(identity.name);
}

function containerOf({ placement }: Identity): string | null {
  return placement.containerId ?? placement.containerName;
}

/** `docker compose stop` executes docker-compose: one request. */
function outermost(candidates: readonly Candidate[]): readonly Candidate[] {
  const tools = candidates.filter(({ known }) => known.ask.kind !== 'init');
  const keys = new Set(tools.map(({ known }) => keyOf(known.request.process)));
  const isInside = ({ known: { request } }: Candidate): boolean =>
    request.process.ancestors.some(({ pid, start_boottime_ns: startNs }) => startNs && keys.has(`${pid}/${startNs}`));
  return candidates.filter((candidate) => !isInside(candidate));
}

/** The command that named it, of a user whom the carrier obeys. The first of two that run: the other one asks for what is happening. */
function certainOf(candidates: readonly Candidate[]): Candidate | null {
  const certain = candidates.filter(
    ({ known, match, isObeyed }) =>
      match === 'named' && isObeyed && !known.ask.isRemote && known.end?.bySignal !== true,
  );
  return certain.find(({ known }) => known.end === null || !known.ask.isAsync) ?? certain.at(-1) ?? null;
}

function identityIn({ request }: Known, { host, mode }: Circumstances): Identity {
  return identityOf(request.process, host, mode);
}

type Found = Pick<Candidate, 'known' | 'identity' | 'throughEngine'>;

function found({ known, identity, throughEngine }: Found, basis: RequesterBasisValue, host: Host): Requester {
  const { ask, request } = known;
  const person = personOf(identity, request.process.ancestors, host);
  const act = throughEngine ? 'shutdown' : ask.act;
  return { identity, person, basis, act, request };
}
