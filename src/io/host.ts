// SPDX-License-Identifier: Apache-2.0
// The host: id, name, architecture, kernel, and the names of its users. Read once; /etc/passwd is read again when it changes.
// core/telemetry/resource.ts selects what is emitted.
import { readFileSync, statSync } from 'node:fs';
import { arch, hostname, release } from 'node:os';
import { parseResourceAttributes } from '../core/identity/declared.ts';
import { type Host, tagsOf } from '../core/identity/host.ts';
import { HOST_ID, HOST_NAME } from '../core/telemetry/semconv.ts';

/** Maximum number of users; further lines of passwd are ignored. */
const USERS_MAX = 65_536;
const PASSWD_CHECK_MS = 10_000;

/** Node.js's name of an architecture → `host.arch` of the semantic conventions. */
const ARCHS: Readonly<Record<string, string>> = {
  x64: 'amd64',
  arm64: 'arm64',
  arm: 'arm32',
  ia32: 'x86',
  ppc64: 'ppc64',
  s390x: 's390x',
};

/**
 * Returns the reader of the host; user names are at most 10 s old. `etc`: the directory of passwd and machine-id. host.id and host.name of
 * our own OTEL_RESOURCE_ATTRIBUTES override those of the machine: a container in Kubernetes has its own host name. The rest of them tags the
 * fleet. Never throws.
 */
export function hostReader(etc = '/etc', env: Readonly<Record<string, string | undefined>> = process.env): () => Host {
  const named = parseResourceAttributes(env.OTEL_RESOURCE_ATTRIBUTES);
  const id = named[HOST_ID] || machineId(etc);
  const fixed = {
    id,
    name: named[HOST_NAME] || hostname(),
    arch: ARCHS[arch()] ?? arch(),
    osVersion: release(),
    tags: tagsOf(named),
  };
  let host: Host = { ...fixed, userNames: new Map() };
  let checkedAt = Number.NEGATIVE_INFINITY;
  let version = '';
  return () => {
    const now = performance.now();
    if (now - checkedAt < PASSWD_CHECK_MS) return host;
    checkedAt = now;
    const found = fileVersion(`${etc}/passwd`);
    if (found !== version) {
      version = found;
      host = { ...fixed, userNames: userNames(`${etc}/passwd`) };
    }
    return host;
  };
}

function machineId(etc: string): string | null {
  try {
    const id = readFileSync(`${etc}/machine-id`, 'utf8').trim();
    return /^[0-9a-f]{32}$/.test(id) ? id : null;
  } catch {
    return null;
  }
}

function fileVersion(path: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(path);
    return `${mtimeMs} ${size} ${ino}`;
  } catch {
    return 'none';
  }
}

function userNames(path: string): Map<number, string> {
  const names = new Map<number, string>();
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return names;
  }
  for (const line of text.split('\n')) {
    const [name, , uid] = line.split(':');
    // The first entry of an id counts, as in getpwuid(3).
    if (name !== undefined && uid !== undefined && /^\d+$/.test(uid) && !names.has(Number(uid)))
      names.set(Number(uid), name);
    if (names.size >= USERS_MAX) break;
  }
  return names;
}
