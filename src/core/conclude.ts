// SPDX-License-Identifier: Apache-2.0
// The stages of one termination in order: duplicate? → verdict → identities → filter → aggregation → record. Pure, except that it
// updates the memories passed to it. The caller prints, counts and stores the conclusion.
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { MemoryReading } from './cgroup/use.ts';
import { crashReport } from './crash/crash.ts';
import type { CrashPlaces } from './crash/history.ts';
import { type Termination, terminationOf } from './filter/act.ts';
import type { Candidate, CrashLoops } from './filter/aggregate.ts';
import type { Commands } from './filter/commands.ts';
import type { Root } from './filter/incident.ts';
import type { Incidents } from './filter/incidents.ts';
import { type LoopMember, loopMember } from './filter/loop-member.ts';
import type { Loops } from './filter/loops.ts';
import { firstMatch, subjectOf } from './filter/match.ts';
import type { CountedMember, Member } from './filter/members.ts';
import type { Ending, Endings, Recent, Seen } from './filter/memory.ts';
import type { Rule, Subject } from './filter/rules.ts';
import { type ArgumentsMode, withoutArguments } from './identity/arguments.ts';
import type { Host } from './identity/host.ts';
import { type Identities, identify, serviceKey } from './identity/identity.ts';
import { originOf } from './identity/origin.ts';
import { awaitsEnd, type Requester, requesterOf } from './requests/join.ts';
import type { Known } from './requests/requests.ts';
import { systemdReasonOf } from './requests/systemd.ts';
import type { Units } from './requests/units.ts';
import type { OriginKey } from './shares.ts';
import { actorAttributes } from './telemetry/actors.ts';
import type { Attributes } from './telemetry/attributes.ts';
import { incidentId } from './telemetry/incident.ts';
import { buildRecord, type RecordInput, severityOf } from './telemetry/record.ts';
import { countedResource, resourceOf, resourceValue } from './telemetry/resource.ts';
import type { Reported, Restarts } from './telemetry/restart.ts';
import { threadAttributes } from './telemetry/thread-context.ts';
import { traceContextOf } from './telemetry/trace-context.ts';
import { recordUid } from './telemetry/uid.ts';
import { classify } from './verdict/classify.ts';
import type { Verdict } from './verdict/verdict.ts';
import type { Death } from './wire/event.ts';
import { coreDumpOf } from './words/core-dump.ts';
import { requesterClause } from './words/requester.ts';
import { ending, senderLabel, statusWords } from './words/sentence.ts';

export interface Circumstances {
  readonly bootId: string;
  readonly host: Host;
  readonly argumentsMode: ArgumentsMode;
  readonly rules: readonly Rule[];
  readonly seen: Seen;
  readonly recent: Recent;
  readonly loops: CrashLoops;
  readonly restartLoops: Loops;
  readonly incidents: Incidents;
  readonly commands: Commands;
  readonly restarts: Restarts;
  readonly endings: Endings;
  readonly places: CrashPlaces;
  readonly units: Units;
  /** The requests that are remembered, in the order in which they were made. */
  readonly requests: readonly Known[];
  /** What was read of the cgroup that ran out of memory. null: nothing. */
  readonly reading: MemoryReading | null;
  /** When the event was read: ns since 1970, and ms of a steady clock. */
  readonly observedNs: bigint;
  readonly nowMs: number;
}

export type Conclusion =
  | { readonly kind: 'duplicate' }
  | {
      readonly kind: 'new';
      readonly uid: string;
      readonly outcome: 'reported' | 'filtered' | 'aggregated';
      readonly rule: Rule;
      readonly subject: Subject;
      readonly verdict: Verdict;
      /** What counters and summaries need. */
      readonly candidate: Candidate;
      /** null: it cannot belong to a loop. */
      readonly loopMember: LoopMember | null;
      /** It belongs to a loop, which counts it. */
      readonly isInLoop: boolean;
      /** Of an incident. Absent: it is no member. */
      readonly member?: IncidentMember;
      /** null unless the outcome is `reported`. */
      readonly record: ReadableLogRecord | null;
    };

interface IncidentMember extends CountedMember {
  /** Incidents.countUntil() */
  readonly countUntilNs: bigint | null;
}

/** Decides what to report of a termination, and adds it to the memories. `duplicate`: it was concluded before. */
export function conclude(death: Death, circumstances: Circumstances): Conclusion {
  const { bootId, host, argumentsMode, rules, seen, recent, loops, incidents, restarts, endings, nowMs } =
    circumstances;
  const uid = recordUid(bootId, death.process.pid, death.process.start_boottime_ns);
  if (!seen.add(uid)) return { kind: 'duplicate' };

  const verdict = classify(argumentsMode === 'off' ? withoutArguments(death) : death);
  const identities = endings.named(identify(death, verdict, host, argumentsMode), verdict);
  const { victim } = identities;
  const origin = originOf(death);
  const isGraceful = verdict.cause === 'graceful_stop';
  const service = serviceKey(victim, origin);
  const unit = circumstances.units.add(victim.placement, origin, death.time_ns, verdict);
  const terminations = recent.add(service, origin, death.time_ns, isGraceful ? 0 : 1);
  // Graceful stops use up no records of those that failed.
  const key = isGraceful ? `${service}/graceful_stop` : service;
  const candidate = candidateOf(key, origin, verdict, identities, host);

  const subject = subjectOf(verdict, victim);
  const rule = firstMatch(subject, rules);
  const one = terminationOf(death, verdict, victim.placement);
  const isReported = rule.action === 'report';
  const about = { known: circumstances.requests, host, mode: argumentsMode };
  const ask = () => (isReported ? requesterOf(death, verdict, identities, about) : null);
  const { match, isMember, requester } = joinIncident(one, isReported, ask, circumstances);
  // What one act terminated is no loop.
  const inLoop = isMember ? null : loopMember(death, verdict, victim, candidate, rule, uid, argumentsMode);
  const { loop, isCounted } = joinLoop(inLoop, isReported, circumstances);
  const hasRecord = isReported && !isMember && !isCounted && !loops.add(candidate, nowMs);
  const reader = brokenPipe(death, verdict) ? endings.readerOf(death.process, death.time_ns) : null;
  endings.add(death.process, origin, endingOf(death, verdict, identities, hasRecord ? uid : null));
  const incident = match?.id ?? incidentId(bootId, one);
  const resource = isMember || hasRecord ? resourceOf(victim, host) : null;
  const remember = (spanContext?: ReadableLogRecord['spanContext']): void => {
    if (resource === null) return;
    const { endedNs } = verdict;
    restarts.add(reportedOf(death, { uid, incident, endedNs, origin, service, resource, spanContext }));
  };
  const without = { kind: 'new', uid, rule, subject, verdict, candidate, ...loop, record: null } as const;
  if (isMember && match !== null) {
    const member = memberOf(one, verdict, identities, candidate);
    incidents.addMember(match, one, member, death.seq, nowMs);
    remember();
    const { name, status } = member;
    const countUntilNs = incidents.countUntil(match.id, one);
    return { ...without, outcome: 'aggregated', member: { incident: match.id, name, status, countUntilNs } };
  }
  if (resource === null) {
    if (match !== null) incidents.link(match, one, origin);
    return { ...without, outcome: isReported ? 'aggregated' : 'filtered' };
  }

  const why = { known: circumstances.requests, userNames: host.userNames, requester, unit };
  const asked = { requester, systemd: systemdReasonOf(death, verdict, identities, why) };
  const rest = { ...circumstances, uid, origin, incident, resource, asked, reader, terminations };
  const record = recordOf(death, verdict, identities, rest);
  incidents.report(incident, match, one, origin, rootOf(uid, record, verdict, identities, asked), nowMs);
  if (requester !== null) circumstances.commands.add(requester.request.process, incident, origin);
  remember(record.spanContext);
  return { ...without, outcome: 'reported', record };
}

/** What a later restart needs to know of the termination. */
function reportedOf(
  { process: { exe, args, cgroup } }: Death,
  known: Omit<Reported, 'victim' | 'resource'> & { readonly resource: Attributes },
): Reported {
  return { ...known, victim: { exe, args, cgroup }, resource: resourceValue(known.resource) };
}

/** Which command asked for it, and why systemd carried it out. */
type Asked = Pick<RecordInput, 'requester' | 'systemd'>;

/** What else a record says. */
interface About extends Circumstances {
  readonly uid: string;
  readonly origin: OriginKey;
  readonly incident: string;
  readonly resource: Attributes;
  readonly asked: Asked;
  /** The process that read its output. */
  readonly reader: Ending | null;
  /** Of the service, in the last 10 minutes. */
  readonly terminations: number;
}

function recordOf(death: Death, verdict: Verdict, identities: Identities, about: About): ReadableLogRecord {
  const { endedNs, trigger, signalToExitNs } = verdict;
  const { victim, role } = identities;
  const { uid, incident, resource, host, argumentsMode, places, endings, origin, observedNs, terminations } = about;
  const crash = crashReport(death, verdict, argumentsMode);
  const fingerprint = crash?.fingerprint ?? null;
  const isForMemory = role?.role === 'oom_daemon' && signalToExitNs !== null;
  return buildRecord({
    uid,
    incident,
    verdict,
    identities,
    resource,
    crash,
    crashHistory: fingerprint === null ? null : places.add(fingerprint, origin, endedNs),
    trace: traceContextOf(death, victim.context),
    thread: threadAttributes(death, victim.context, argumentsMode),
    before: trigger === null ? null : endings.of(trigger.task),
    reader: about.reader,
    observedNs,
    recent: terminations,
    ...about.asked,
    reading: about.reading,
    coreDump: coreDumpOf(death, verdict, victim, host.corePattern),
    memory: isForMemory ? host.memoryBefore(endedNs - (signalToExitNs ?? 0n)) : null,
  });
}

function rootOf(
  uid: string,
  record: ReadableLogRecord,
  verdict: Verdict,
  { victim, sender, trigger }: Identities,
  { requester }: Asked,
): Root {
  const by = sender ?? trigger;
  return {
    uid,
    name: victim.name,
    pid: victim.pid,
    status: statusWords(verdict, null),
    endedNs: String(verdict.endedNs),
    by: by === null ? null : senderLabel(by, victim),
    asked: requester === null ? null : requesterClause(requester),
    attributes: actorAttributes(record.attributes),
    resource: record.resource.attributes as Attributes,
  };
}

function memberOf({ refused }: Termination, verdict: Verdict, { victim }: Identities, candidate: Candidate): Member {
  const { origin, cause, endedNs, severity } = candidate;
  return {
    name: victim.name,
    pid: victim.pid,
    origin,
    status: statusWords(verdict, refused),
    cause,
    endedNs,
    severity,
  };
}

/** How the process ended, for later terminations that it causes. `uid`: of its record. */
function endingOf(death: Death, verdict: Verdict, identities: Identities, uid: string | null): Ending {
  const { name, pid, program, executable, executableName } = identities.victim;
  const named = { name, program, executable, executableName };
  return { name, pid, program: named, timeNs: death.time_ns, uid, words: ending(verdict, identities) };
}

/** Whether SIGPIPE came from a write to its standard output, as far as the pipe shows that: it has no reader. */
function brokenPipe({ process }: Death, { cause }: Verdict): boolean {
  return cause === 'broken_pipe' && process.pipes?.output_readers === 0;
}

/** Whether the end of a command that still runs decides who asked for the termination. */
export function isToWait(death: Death, known: readonly Known[], host: Host, mode: ArgumentsMode): boolean {
  const verdict = classify(death);
  return awaitsEnd(death, verdict, identify(death, verdict, host, mode), { known, host, mode });
}

/** `ask`: finds the command that asked. A member needs none: its incident has it. */
function joinIncident(one: Termination, isReported: boolean, ask: () => Requester | null, around: Circumstances) {
  const { incidents, commands } = around;
  const match = incidents.find(one);
  if (isReported && match !== null && incidents.isMember(match, one)) return { match, isMember: true, requester: null };
  const requester = ask();
  const ofCommand = requester === null ? null : commands.find(requester.request.process);
  return { match: match ?? ofCommand, isMember: false, requester };
}

/** `isCounted`: the loop's records count it, so that it needs none. */
function joinLoop(member: LoopMember | null, isReported: boolean, { loops, restartLoops, nowMs }: Circumstances) {
  const isInLoop = member !== null && restartLoops.add(member, isReported && !loops.unlimited, nowMs);
  return { loop: { loopMember: member, isInLoop }, isCounted: isInLoop && !loops.unlimited };
}

function candidateOf(
  key: string,
  origin: OriginKey,
  verdict: Verdict,
  { victim, sender, role }: Identities,
  host: Host,
): Candidate {
  return {
    key,
    origin,
    endedNs: verdict.endedNs,
    cause: verdict.cause,
    executable: victim.executable,
    sender: sender?.name ?? null,
    severity: severityOf(verdict, role),
    command: () => victim.arguments.shown?.join(' ').trim() ?? null,
    cgroup: victim.cgroup,
    resource: countedResource(victim, host),
  };
}
