// SPDX-License-Identifier: Apache-2.0
// The uids of records: UUIDv5 (RFC 9562), so that the same event always has the same one.
import { hash } from 'node:crypto';

/** Namespace of our UUIDs: UUIDv5 of the DNS namespace and `whodunit.process.termination`. Must never change. */
const UID_NAMESPACE = '10d02fbe-7865-59ac-adb0-d12ce59b073d';

/** The key of a termination: UUIDv5 (RFC 9562) of boot id, tgid and start time. The same termination always has the same key. */
export function recordUid(bootId: string, pid: number, startBoottimeNs: bigint): string {
  return uidOf(`${bootId}/${pid}/${startBoottimeNs}`);
}

/** UUIDv5 (RFC 9562) of a name in our namespace. */
export function uidOf(name: string): string {
  const hex = hash('sha1', Buffer.concat([NAMESPACE_BYTES, Buffer.from(name)]));
  const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(18, 20)}-${hex.slice(20, 32)}`;
}

const NAMESPACE_BYTES = Buffer.from(UID_NAMESPACE.replaceAll('-', ''), 'hex');
