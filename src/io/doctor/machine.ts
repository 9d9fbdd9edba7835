// SPDX-License-Identifier: Apache-2.0
// What the doctor finds out itself: kernel, privileges, pins. All other findings come from the loader and the service.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { arch, release } from 'node:os';
import type { Finding } from './finding.ts';

const BTF = '/sys/kernel/btf/vmlinux';
/** CAP_BPF and CAP_PERFMON (include/uapi/linux/capability.h): with CAP_SYS_RESOURCE and a few more, what the loader starts with. */
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
          level: 'bad',
          text: `${release()} has no BTF (${BTF}): use a kernel with CONFIG_DEBUG_INFO_BTF, as the distributions ship it`,
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
      ? `${who}: the loader could attach probes; the service needs no privileges and runs as its own user`
      : `${who}: enough for the service, which only needs the socket; the loader needs root, or the capabilities of docs/privileges.md`,
  };
}

/** The effective capabilities of this process, a bit each; null: not known. */
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
    return { what: 'pins', level: 'ok', text: `${names.length} in ${directory}: the probes run on without a loader` };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES') return { what: 'pins', level: 'note', text: `only root may look into ${directory}` };
    return {
      what: 'pins',
      level: 'note',
      text: `none in ${directory} (${code}): no loader has attached probes here, or it uses another WHODUNIT_PIN_DIR`,
    };
  }
}
