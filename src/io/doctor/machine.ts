// SPDX-License-Identifier: Apache-2.0
// The doctor's own checks: Node.js, kernel, privileges, pins. All other findings come from the loader and the service.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { arch, release } from 'node:os';
import type { Finding } from './finding.ts';

const BTF = '/sys/kernel/btf/vmlinux';
/** Bits of capabilities (include/uapi/linux/capability.h). docs/privileges.md lists all that the loader needs. */
const CAP_PERFMON = 38n;
const CAP_BPF = 39n;
const CAP_SYS_ADMIN = 21n;

export function machineFindings(pinDir: string): Finding[] {
  return [
    { what: 'node', level: 'ok', text: `${process.version} on ${arch()}` },
    existsSync(BTF)
      ? { what: 'kernel', level: 'ok', text: `${release()}, with BTF` }
      : {
          what: 'kernel',
          level: 'note',
          text: `${release()} has no BTF (${BTF}): the loader finds by observation what status, signal and sender need; a file with its types (--btf, WHODUNIT_BTF) has the rest`,
        },
    privileges(),
    pins(pinDir),
  ];
}

function privileges(): Finding {
  const uid = process.geteuid?.() ?? -1;
  const held = capabilities();
  const mayLoad = held !== null && [CAP_BPF, CAP_PERFMON].every((bit) => has(held, bit) || has(held, CAP_SYS_ADMIN));
  const who = uid === 0 ? 'root' : `user ${uid}`;
  return {
    what: 'privileges',
    level: 'ok',
    text: mayLoad
      ? `${who}: sufficient for the loader. The service needs no privileges: run it as its own user`
      : `${who}: sufficient for the service, which needs only the socket. The loader needs root, or the capabilities listed in docs/privileges.md`,
  };
}

/** Returns the effective capabilities of this process as a bit set; null: unknown. */
function capabilities(): bigint | null {
  try {
    const [, hex] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    return hex === undefined ? null : BigInt(`0x${hex}`);
  } catch {
    return null;
  }
}

function has(held: bigint, bit: bigint): boolean {
  return ((held >> bit) & 1n) === 1n;
}

function pins(directory: string): Finding {
  try {
    const names = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    return {
      what: 'pins',
      level: 'ok',
      text: `${names.length} in ${directory}: the probes keep running without a loader`,
    };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES') return { what: 'pins', level: 'note', text: `not checked: only root can read ${directory}` };
    return {
      what: 'pins',
      level: 'note',
      text: `none in ${directory} (${code}): no loader has pinned probes here, or its WHODUNIT_PIN_DIR is another directory`,
    };
  }
}
