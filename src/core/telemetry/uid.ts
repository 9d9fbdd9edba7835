// SPDX-License-Identifier: Apache-2.0
// The uids of records and the ids of metric resources: UUIDv5 (RFC 9562), so that the same event or resource always has the same one.
import { hash } from 'node:crypto';

/** Namespace of our UUIDs: UUIDv5 of the DNS namespace and `whodunit.process.termination`. Must never change. */
const UID_NAMESPACE = bytesOf('10d02fbe-7865-59ac-adb0-d12ce59b073d');

/** OpenTelemetry's namespace for `service.instance.id` (semantic conventions, attribute registry, service). */
const SERVICE_INSTANCE_NAMESPACE = bytesOf('4d63009a-8d0f-11ee-aad7-4c796ed8e320');

/** The key of a termination: UUIDv5 (RFC 9562) of boot id, tgid and start time. The same termination always has the same key. */
export function recordUid(bootId: string, pid: number, startBoottimeNs: bigint): string {
  return uidOf(`${bootId}/${pid}/${startBoottimeNs}`);
}

/** UUIDv5 (RFC 9562) of a name in our namespace. */
export function uidOf(name: string): string {
  return uuidV5(UID_NAMESPACE, name);
}

/** UUIDv5 (RFC 9562) of a name in the namespace of `service.instance.id`. */
export function serviceInstanceId(name: string): string {
  return uuidV5(SERVICE_INSTANCE_NAMESPACE, name);
}

function bytesOf(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}

function uuidV5(namespace: Buffer, name: string): string {
  const hex = hash('sha1', Buffer.concat([namespace, Buffer.from(name)]));
  const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(18, 20)}-${hex.slice(20, 32)}`;
}
