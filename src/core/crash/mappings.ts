// SPDX-License-Identifier: Apache-2.0
// How explanations name a mapping of the process.
import { cutText } from '../identity/redact.ts';
import type { Mapping } from '../wire/crash.ts';

const PATH_CHARS_MAX = 128;

export function placeOfData(mapping: Mapping | null): string {
  if (mapping?.grows_down === true) return 'the stack';
  return mapping?.path == null ? 'memory without a file' : pathOf(mapping);
}

export function named(mapping: Mapping | null): string {
  return mapping?.path == null ? '' : ` (${pathOf(mapping)})`;
}

export function pathOf(mapping: Mapping | null): string {
  return `${cutText(mapping?.path ?? '?', PATH_CHARS_MAX)}${mapping?.deleted ? ', deleted' : ''}`;
}

export function rangeOf(mapping: Mapping | null): string {
  if (mapping === null) return 'none';
  return `${mapping.start}-${mapping.end} ${mapping.access}${mapping.path === null ? '' : ` ${pathOf(mapping)}`}`;
}

export function mappingEvidence(subject: string, mapping: Mapping | null): string {
  return `${subject} in ${rangeOf(mapping)}`;
}
