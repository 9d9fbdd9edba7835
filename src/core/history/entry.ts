// SPDX-License-Identifier: Apache-2.0
// One record of the history as commands and the page see it, and its parts by name. Pure: io/history/ reads and writes the files.

import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { AttributeValue } from '../telemetry/attributes.ts';
import * as semconv from '../telemetry/semconv.ts';
import { SECOND_NS } from '../time.ts';
import type { FilterName } from './filter-names.ts';

/** In the order of their numbers in the index. */
export const KINDS = ['termination', 'restart', 'incident', 'summary', 'loop', 'gap'] as const;
export type Kind = (typeof KINDS)[number];

/** What became of the record. `none`: it was not to be sent. */
export interface EntryDelivery {
  readonly state: 'delivered' | 'waiting' | 'rejected' | 'none';
  /** When the collector answered, ns since 1970. */
  readonly at_ns?: bigint;
  readonly endpoint?: string;
  /** Why it was rejected. */
  readonly reason?: string;
}

export interface Entry {
  /** The uid of the record. */
  readonly id: string;
  /** The same. Tables show its first SHORT_UID_CHARS characters. */
  readonly uid: string;
  readonly kind: Kind;
  /** ns since 1970. */
  readonly time_ns: bigint;
  /** SeverityText. */
  readonly severity: string;
  readonly body: string;
  readonly process: { readonly name: string; readonly pid: number | null; readonly executable?: string };
  readonly cause?: string;
  /** The name of the process that sent the signal, or `kernel`, `self`, `unknown`. */
  readonly sender?: string;
  /** Who asked for it. */
  readonly requester?: string;
  readonly service?: string;
  readonly unit?: string;
  readonly container?: string;
  readonly user?: string;
  readonly signal?: string;
  readonly exit_code?: number;
  readonly incident_id?: string;
  readonly loop_id?: string;
  /** The uid of the termination that this restart follows. */
  readonly termination_uid?: string;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  readonly resource: Readonly<Record<string, AttributeValue>>;
  readonly delivery: EntryDelivery;
  /** The record, as it is sent. */
  readonly record: ReadableLogRecord;
}

export const SHORT_UID_CHARS = 8;

type Bag = Readonly<Record<string, AttributeValue | undefined>>;

/** The person, if that is known; otherwise the user or the program. */
const REQUESTER = [
  semconv.REQUESTER_LOGIN_USER_NAME,
  semconv.REQUESTER_SUDO_USER,
  semconv.REQUESTER_USER_NAME,
  semconv.REQUESTER_NAME,
] as const;

export function kindOf({ eventName = '' }: Pick<ReadableLogRecord, 'eventName'>): Kind {
  switch (eventName) {
    case semconv.EVENT_PROCESS_RESTART:
      return 'restart';
    case semconv.EVENT_PROCESS_TERMINATION_SUMMARY:
      return 'summary';
    case semconv.EVENT_INCIDENT:
      return 'incident';
    case semconv.EVENT_PROCESS_LOOP:
      return 'loop';
    case semconv.EVENT_EVENTS_GAP:
      return 'gap';
    default:
      return 'termination';
  }
}

/** `record`: as storeRecord() keeps it; missing attributes are left out. */
export function entryOf(record: ReadableLogRecord, delivery: EntryDelivery): Entry {
  const attributes = record.attributes as Bag;
  const resource = record.resource.attributes as Bag;
  const uid = text(attributes[semconv.LOG_RECORD_UID]) ?? '';
  const executable = executableOf(attributes, resource);
  const [seconds, nanos] = record.hrTime;
  const pid = attributes[semconv.RESTART_PID] ?? resource[semconv.PROCESS_PID];
  const exitCode = attributes[semconv.PROCESS_EXIT_CODE];
  return {
    id: uid,
    uid,
    kind: kindOf(record),
    time_ns: BigInt(seconds) * SECOND_NS + BigInt(nanos),
    severity: record.severityText ?? 'ERROR',
    body: String(record.body ?? ''),
    process: {
      name: nameOf(resource) ?? fileOf(executable) ?? '',
      pid: typeof pid === 'number' ? pid : null,
      ...given({ executable }),
    },
    ...given({
      cause: text(attributes[semconv.CAUSE]),
      sender: senderOf(attributes),
      requester: REQUESTER.map((name) => text(attributes[name])).find((name) => name !== undefined),
      service: serviceOf(resource),
      unit: text(resource[semconv.SYSTEMD_UNIT]),
      container: text(resource[semconv.CONTAINER_NAME]) ?? text(resource[semconv.CONTAINER_ID]),
      user: userOf(resource),
      signal: text(attributes[semconv.SIGNAL_NAME]),
      exit_code: typeof exitCode === 'number' ? exitCode : undefined,
      incident_id: text(attributes[semconv.INCIDENT_ID]),
      loop_id: text(attributes[semconv.LOOP_ID]),
      termination_uid: text(attributes[semconv.TERMINATION_UID]),
    }),
    attributes: attributes as Entry['attributes'],
    resource: resource as Entry['resource'],
    delivery,
    record,
  };
}

/** What the index has of a record. As in the entry, but nothing else of it is read: this happens for each record of a storm. */
export function factsOf(record: ReadableLogRecord): Facts {
  const attributes = record.attributes as Bag;
  const resource = record.resource.attributes as Bag;
  const pid = attributes[semconv.RESTART_PID] ?? resource[semconv.PROCESS_PID];
  const executable = executableOf(attributes, resource);
  const [seconds, nanos] = record.hrTime;
  return {
    uid: text(attributes[semconv.LOG_RECORD_UID]) ?? '',
    timeNs: BigInt(seconds) * SECOND_NS + BigInt(nanos),
    pid: typeof pid === 'number' ? pid : 0,
    kind: kindOf(record),
    terminationUid: text(attributes[semconv.TERMINATION_UID]),
    names: {
      service: serviceOf(resource),
      unit: text(resource[semconv.SYSTEMD_UNIT]),
      container: text(resource[semconv.CONTAINER_ID]),
      cause: text(attributes[semconv.CAUSE]),
      signal: text(attributes[semconv.SIGNAL_NAME]),
      sender: senderOf(attributes),
      user: userOf(resource),
      executable: fileOf(executable) ?? nameOf(resource),
      incident: text(attributes[semconv.INCIDENT_ID]),
    },
  };
}

export interface Facts {
  readonly uid: string;
  readonly timeNs: bigint;
  readonly pid: number;
  readonly kind: Kind;
  readonly terminationUid: string | undefined;
  readonly names: Readonly<Record<FilterName, string | undefined>>;
}

/** Of the process; of summaries and loops, whose resource is the service. */
function executableOf(attributes: Bag, resource: Bag): string | undefined {
  return text(resource[semconv.PROCESS_EXECUTABLE_PATH]) ?? text(attributes[semconv.PROCESS_EXECUTABLE_PATH]);
}

function fileOf(path: string | undefined): string | undefined {
  return path?.slice(path.lastIndexOf('/') + 1);
}

function nameOf(resource: Bag): string | undefined {
  return text(resource[semconv.PROCESS_NAME]) ?? text(resource[semconv.PROCESS_EXECUTABLE_NAME]);
}

function userOf(resource: Bag): string | undefined {
  return text(resource[semconv.PROCESS_OWNER]) ?? text(resource[semconv.PROCESS_USER_ID]);
}

function senderOf(attributes: Bag): string | undefined {
  return text(attributes[semconv.SENDER_NAME]) ?? text(attributes[semconv.SENDER_KIND]);
}

/** `unknown_service:sleep` repeats the name of the executable. */
function serviceOf(resource: Bag): string | undefined {
  const name = text(resource[semconv.SERVICE_NAME]);
  return name?.startsWith('unknown_service') ? undefined : name;
}

function text(value: AttributeValue | undefined): string | undefined {
  if (value === undefined || value === '') return undefined;
  return typeof value === 'string' ? value : String(value);
}

/** Without the members that have no value. */
function given<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
