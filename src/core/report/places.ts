// SPDX-License-Identifier: Apache-2.0
// When and where, as parts of a report's lines: the time on this machine, how often before, service, unit, container, memory.
import { TERMINATIONS_MAX } from '../filter/memory.ts';
import { textOf } from '../page/values.ts';
import type { Attributes } from '../telemetry/attributes.ts';
import * as semconv from '../telemetry/semconv.ts';
import { ordinal } from '../words/loop.ts';
import { size } from '../words/units.ts';

const SHORT_ID_CHARS = 12;

/** `2026-11-23 14:03:22.123456789 +00:00`, in the time zone of this machine. */
export function localTime([seconds, nanos]: readonly [number, number]): string {
  const date = new Date(seconds * 1000);
  const offset = -date.getTimezoneOffset();
  const local = new Date(seconds * 1000 + offset * 60_000).toISOString().slice(0, 19).replace('T', ' ');
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.trunc(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  return `${local}.${String(nanos).padStart(9, '0')} ${zone}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** `third time in 10 minutes`: of the service. null: it is the first time, or a graceful stop, which is not counted. */
export function repetition(attributes: Attributes): string | null {
  const count = attributes[semconv.RECENT_TERMINATIONS];
  const isCounted = attributes[semconv.CAUSE] !== 'graceful_stop';
  if (typeof count !== 'number' || count < 2 || !isCounted) return null;
  return `${ordinal(count)} time${count >= TERMINATIONS_MAX ? ' or more' : ''} in 10 minutes`;
}

/** The cgroup only where nothing else says where it was. */
export function where(resource: Attributes): (string | null)[] {
  const parts = [
    knownService(resource),
    textOf(resource[semconv.SYSTEMD_UNIT]),
    labelled('unit', textOf(resource[semconv.SYSTEMD_USER_UNIT])),
    containerLabel(resource[semconv.CONTAINER_NAME], resource[semconv.CONTAINER_ID]),
    labelled('image', textOf(resource[semconv.CONTAINER_IMAGE_NAME])),
    labelled('pod', textOf(resource[semconv.K8S_POD_UID])),
  ];
  const isPlaced = parts.some((part) => part !== null);
  return [
    ...parts,
    isPlaced ? null : textOf(resource[semconv.PROCESS_LINUX_CGROUP]),
    textOf(resource[semconv.HOST_NAME]),
  ];
}

/** The nearest name: of the service, the unit or the container. null: it has none. */
export function nearest(resource: Attributes): string | null {
  return (
    knownService(resource) ??
    containerLabel(resource[semconv.CONTAINER_NAME], resource[semconv.CONTAINER_ID]) ??
    textOf(resource[semconv.SYSTEMD_UNIT])
  );
}

/** null for `unknown_service:sleep`: it repeats the name of the executable. */
function knownService(resource: Attributes): string | null {
  const name = textOf(resource[semconv.SERVICE_NAME]);
  return name === null || name.startsWith('unknown_service') ? null : `service ${name}`;
}

/** `container web`: by its name, or the beginning of its id. */
export function containerLabel(name: unknown, id: unknown): string | null {
  return labelled('container', textOf(name) ?? textOf(id)?.slice(0, SHORT_ID_CHARS) ?? null);
}

function labelled(label: string, text: string | null): string | null {
  return text === null ? null : `${label} ${text}`;
}

/** Of the victim of the out-of-memory killer. The cgroup is in the headline. */
export function memory(attributes: Attributes): (string | null)[] {
  const bytes = (label: string, key: string): string | null => {
    const value = attributes[key];
    return typeof value === 'number' ? `${label} ${size(value)}` : null;
  };
  return [
    bytes('limit', semconv.OOM_LIMIT),
    bytes('anonymous', semconv.OOM_ANON_RSS),
    bytes('file', semconv.OOM_FILE_RSS),
    bytes('shared', semconv.OOM_SHMEM_RSS),
    bytes('virtual', semconv.OOM_TOTAL_VM),
  ];
}
