// SPDX-License-Identifier: Apache-2.0
// The record for the members of one incident: `whodunit.incident` of docs/telemetry.md. Its first termination has a record of its own,
// whose resource this one has. core/filter/incidents.ts decides which terminations are members.
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { Termination } from '../filter/act.ts';
import type { Part, Root, StoredIncident } from '../filter/incident.ts';
import type { Group, Members } from '../filter/members.ts';
import { hrTime, isoTime, seconds } from '../time.ts';
import { duration } from '../words/units.ts';
import { visible } from '../words/visible.ts';
import type { Attributes } from './attributes.ts';
import { SCOPE } from './record.ts';
import { resourceValue } from './resource.ts';
import * as semconv from './semconv.ts';
import { uidOf } from './uid.ts';

/** Groups in the sentence. `whodunit.incident.members` has all. */
const GROUPS_IN_SENTENCE = 4;

/** The id of the incident that begins with this termination: the same whenever it is read. */
export function incidentId(bootId: string, { process, key, actNs }: Termination): string {
  const act = key === null ? `${process.pid}/${process.start_boottime_ns}` : `${key}/${actNs}`;
  return uidOf(`${bootId}/incident/${act}`);
}

/** The same members of the same incident always have the same uid. `observedNs`: current time, ns since 1970. */
export function buildIncident({ incident, members }: Part, observedNs: bigint): ReadableLogRecord {
  const { id, act, root, parts, total } = incident;
  const endedNs = BigInt(members.lastNs);
  const groups = [...members.groups].sort((a, b) => b.count - a.count);
  const outliers = outliersOf(groups, root);
  const withinNs = endedNs - BigInt(root.endedNs);
  const attributes: Attributes = {
    [semconv.LOG_RECORD_UID]: uidOf(`${id}/members/${parts}`),
    [semconv.INCIDENT_ID]: id,
    [semconv.INCIDENT_ACT]: act,
    [semconv.INCIDENT_TOTAL]: total,
    [semconv.INCIDENT_DURATION]: seconds(withinNs < 0n ? 0n : withinNs),
    [semconv.INCIDENT_MEMBERS]: groups.map(listed),
    [semconv.TERMINATION_UID]: root.uid,
    [semconv.AGGREGATED_COUNT]: members.count,
    [semconv.AGGREGATED_FIRST_TIME]: isoTime(BigInt(members.firstNs)),
    ...root.attributes,
  };
  if (outliers.length > 0) attributes[semconv.INCIDENT_OUTLIERS] = outliers.map(listed);
  for (const [cause, times] of members.byCause) attributes[`${semconv.AGGREGATED_BY_CAUSE}.${cause}`] = times;
  const { severity } = members;
  return {
    eventName: semconv.EVENT_INCIDENT,
    hrTime: hrTime(endedNs),
    hrTimeObserved: hrTime(observedNs),
    severityNumber: severity.number,
    severityText: severity.text,
    body: visible(`${headline(incident, members, duration(withinNs))} ${inSentence(groups, members)}.`),
    attributes: attributes as ReadableLogRecord['attributes'],
    droppedAttributesCount: 0,
    resource: resourceValue(root.resource),
    instrumentationScope: SCOPE,
  };
}

/** Groups that did not end as most of the terminations did, the first one included. */
function outliersOf(groups: readonly Group[], root: Root): readonly Group[] {
  const counts = new Map<string, number>([[root.status, 1]]);
  for (const { status, count } of groups) counts.set(status, (counts.get(status) ?? 0) + count);
  const most = Math.max(...counts.values());
  return groups.filter(({ status }) => (counts.get(status) ?? 0) < most);
}

/** What happened, up to the list of the members. */
function headline(incident: StoredIncident, { count }: Members, within: string): string {
  const { act, root, total, parts } = incident;
  const first = `${root.name} (pid ${root.pid})`;
  const asked = root.asked === null ? '' : `, ${root.asked}`;
  const by = `${root.by ?? 'A process'}${asked === '' ? '' : `${asked},`}`;
  const ended = `${first} ended with ${root.status}${root.by === null ? '' : `, by ${root.by}${asked}`}`;
  const others = `${count} more ${count === 1 ? 'process' : 'processes'}`;
  const list = parts === 0 ? `first ${first}, then` : `now`;
  const all = `${total} processes within ${within}`;
  switch (act) {
    case 'cgroup_kill':
      return `${by} terminated ${all} with cgroup.kill: ${list}`;
    case 'signal':
      return `${by} terminated ${all}: ${list}`;
    case 'terminal':
      return `A key typed at the terminal ended ${all}: ${list}`;
    case 'hangup':
      return `The end of their terminal ended ${all}: ${list}`;
    case 'namespace_exit':
      return `With ${first}, the init of their pid namespace, ${others} ended within ${within}${asked}:`;
    case 'crash':
      return `After ${ended}, its parent terminated ${others} within ${within}:`;
    case 'exit':
      return `After ${ended}, ${others} ended within ${within}:`;
  }
}

function inSentence(groups: readonly Group[], { ungrouped }: Members): string {
  const shown = groups.slice(0, GROUPS_IN_SENTENCE);
  const rest = groups.slice(GROUPS_IN_SENTENCE).reduce((sum, { count }) => sum + count, ungrouped);
  const parts = shown.map((group) => (group.count === 1 ? listed(group) : `${counted(group)}: ${group.status}`));
  return [...parts, ...(rest === 0 ? [] : [`${rest} others`])].join(', ');
}

/** `200 × sleep: SIGKILL (pids 1201-1400)`. */
function listed(group: Group): string {
  const { name, status, count, pids } = group;
  if (count === 1 && pids.length === 1) return visible(`${name} (pid ${pids[0]}): ${status}`);
  const more = count - pids.length;
  const rest = more === 0 ? '' : pids.length === 0 ? '' : ` and ${more} more`;
  return visible(`${counted(group)}: ${status}${pids.length === 0 ? '' : ` (pids ${ranges(pids)}${rest})`}`);
}

function counted({ name, count }: Group): string {
  return `${count} × ${name}`;
}

/** `1201-1204, 1206`. */
function ranges(pids: readonly number[]): string {
  const sorted = [...pids].sort((a, b) => a - b);
  const found: [number, number][] = [];
  for (const pid of sorted) {
    const last = found.at(-1);
    if (last !== undefined && pid === last[1] + 1) last[1] = pid;
    else found.push([pid, pid]);
  }
  return found.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(', ');
}
