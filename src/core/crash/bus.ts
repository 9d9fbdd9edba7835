// SPDX-License-Identifier: Apache-2.0
// Explains SIGBUS: a page of a mapped file that could not be had, alignment, defective memory. After mm/memory.c and mm/filemap.c.
import { SIGBUS } from '../verdict/signals.ts';
import type { Mapping } from '../wire/crash.ts';
import { hex, type Row } from './explanation.ts';
import type { CrashFacts } from './facts.ts';
import { mappingEvidence, named, pathOf } from './mappings.ts';

const PAGE = 4096n;
const BUS = { ADRALN: 1, ADRERR: 2, MCEERR_AR: 4, MCEERR_AO: 5 } as const;
const TRAP_STACK_SEGMENT = 12;

const isBus = (facts: CrashFacts, ...codes: number[]): boolean =>
  facts.signo === SIGBUS && facts.fault !== null && codes.includes(facts.fault.code);
const ofFile = (facts: CrashFacts): boolean =>
  isBus(facts, BUS.ADRERR) && facts.mapping !== null && facts.mapping.path !== null;

export const BUS_ERRORS: readonly Row[] = [
  {
    reason: 'file_truncated',
    when: (facts) => ofFile(facts) && !isHuge(facts.mapping) && isBeyondEnd(facts),
    words: ({ mapping }) =>
      `access beyond the end of a mapped file${named(mapping)}: it was truncated, or is ${mapping?.file_bytes === 0 ? 'a device' : 'shorter than its mapping'}`,
    evidence: (facts) => [
      `the address is byte ${(fileOffset(facts) ?? 0n).toLocaleString('en-US')} of ${pathOf(facts.mapping)}, which has ${(facts.mapping?.file_bytes ?? 0).toLocaleString('en-US')} bytes`,
    ],
  },
  {
    reason: 'huge_page',
    when: (facts) => ofFile(facts) && isHuge(facts.mapping),
    words: 'no huge page was free',
    evidence: ({ mapping }) => [mappingEvidence('the address is', mapping)],
  },
  {
    reason: 'file_unavailable',
    when: ofFile,
    words: ({ mapping }) =>
      `a page of a mapped file${named(mapping)} could not be had: its file system is full or failed to read it`,
    evidence: (facts) => [
      `the address is byte ${(fileOffset(facts) ?? 0n).toLocaleString('en-US')} of ${pathOf(facts.mapping)}, within its ${(facts.mapping?.file_bytes ?? 0).toLocaleString('en-US')} bytes`,
    ],
  },
  {
    reason: 'misaligned',
    when: (facts) => isBus(facts, BUS.ADRALN),
    words: 'misaligned access',
    evidence: ({ address }) => [`BUS_ADRALN${address === null ? '' : `: the address is ${hex(address)}`}`],
  },
  {
    reason: 'hardware_error',
    when: (facts) => isBus(facts, BUS.MCEERR_AR, BUS.MCEERR_AO),
    words: 'the memory is defective (uncorrectable hardware error)',
    evidence: () => ['BUS_MCEERR_AR or BUS_MCEERR_AO: the kernel took the page away from the process'],
  },
  {
    reason: 'wild_pointer',
    when: (facts) => facts.signo === SIGBUS && facts.fault?.trap_nr === TRAP_STACK_SEGMENT && facts.address === null,
    words: 'wild stack or frame pointer: an address that no memory can have',
    evidence: () => ['stack segment fault (trap 12) without an address: it was not canonical'],
  },
];

/** The byte of the file at the address. */
function fileOffset({ address, mapping }: CrashFacts): bigint | null {
  return mapping === null || address === null ? null : BigInt(mapping.offset) + address - BigInt(mapping.start);
}

/** The rest of the last page is zero and no error. */
function isBeyondEnd(facts: CrashFacts): boolean {
  const at = fileOffset(facts);
  const end = ((BigInt(facts.mapping?.file_bytes ?? 0) + PAGE - 1n) / PAGE) * PAGE;
  return at !== null && at >= end;
}

function isHuge(mapping: Mapping | null): boolean {
  return mapping?.path?.startsWith('/anon_hugepage') === true;
}
