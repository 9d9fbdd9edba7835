// SPDX-License-Identifier: Apache-2.0
// The host: id, name, architecture, kernel, and the names of its users. Read once; /etc/passwd is read again when it changes.
// core/telemetry/resource.ts selects what is emitted.
import { readFileSync, statSync } from 'node:fs';
import { arch, hostname, release } from 'node:os';
import { parseResourceAttributes } from '../core/identity/declared.ts';
import { type Host, tagsOf } from '../core/identity/host.ts';
import { HOST_ID, HOST_NAME } from '../core/telemetry/semconv.ts';
import { corePatternReader } from './core-pattern.ts';
import { memoryReader } from './memory.ts';

/** Maximum number of users; further lines of passwd are ignored. */
const USERS_MAX = 65_536;
const PASSWD_CHECK_MS = 1_000;
/** (uid_t)-1 means no user (chown(2)). */
const UID_MAX = 0xffff_fffe;

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
 * Returns the reader of the host; user names are at most 1 s old. `etc`: the directory of passwd and machine-id. host.id and host.name of
 * our own OTEL_RESOURCE_ATTRIBUTES override those of the machine: a container in Kubernetes has its own host name. The rest of them tags the
 * fleet. Never throws.
 */
export function hostReader(
  etc = '/etc',
  env: Readonly<Record<string, string | undefined>> = process.env,
  containerById: Host['containerById'] = () => null,
): () => Host {
  const named = parseResourceAttributes(env.OTEL_RESOURCE_ATTRIBUTES);
  const id = named[HOST_ID] || machineId(etc);
  const fixed = {
    id,
    name: named[HOST_NAME] || hostname(),
    arch: ARCHS[arch()] ?? arch(),
    osVersion: release(),
    tags: tagsOf(named),
    memoryBefore: memoryReader(),
    corePattern: corePatternReader(),
    containerById,
  };
  let host: Host = { ...fixed, userNames: new Map() };
  let checkedAt = Number.NEGATIVE_INFINITY;
  let version: string | null = null;
  return () => {
    const now = performance.now();
    if (now - checkedAt < PASSWD_CHECK_MS) return host;
    checkedAt = now;
    const found = fileVersion(`${etc}/passwd`);
    if (found !== version) {
      version = found;
      host = { ...fixed, userNames: version === null ? new Map() : userNames(`${etc}/passwd`) };
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

/** Changes with the content, even if an editor keeps the size and restores the time of modification. null: the file is not there. */
function fileVersion(path: string): string | null {
  try {
    const { mtimeNs, ctimeNs, size, ino, nlink } = statSync(path, { bigint: true });
    // Replaced behind a bind mount of the file (of a container): the names are those of another time.
    if (nlink === 0n) return null;
    return `${mtimeNs} ${ctimeNs} ${size} ${ino}`;
  } catch {
    return null;
  }
}

/** Seven fields (passwd(5)). Not a comment, and not an entry of NIS, which adds or removes users of the network (`+alice::::::`, `-bob`). */
const ENTRY = /^([^\s:#+-][^\s:]*):[^:]*:(\d{1,10}):\d{1,10}:[^:]*:[^:]*:[^:]*$/;

function userNames(path: string): Map<number, string> {
  const names = new Map<number, string>();
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return names;
  }
  for (const line of text.split('\n')) {
    const [, name = '', uid = Number.NaN] = ENTRY.exec(line) ?? [];
    // The first entry of an id counts, as in getpwuid(3).
    if (Number(uid) <= UID_MAX && !names.has(Number(uid))) names.set(Number(uid), name);
    if (names.size >= USERS_MAX) break;
  }
  return names;
}
