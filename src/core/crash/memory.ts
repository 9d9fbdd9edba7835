// SPDX-License-Identifier: Apache-2.0
// Explains SIGSEGV: an address, what was mapped there, and what the instruction wanted of it. After
// arch/x86/mm/fault.c and arch/arm64/mm/fault.c.
import { cutText } from '../identity/redact.ts';
import { SIGSEGV } from '../verdict/signals.ts';
import { size } from '../words/units.ts';
import { hex, type Row } from './explanation.ts';
import type { CrashFacts } from './facts.ts';
import { recursionOf } from './frames.ts';
import { mappingEvidence, named, placeOfData, rangeOf } from './mappings.ts';

/** Offsets from a null pointer that count without further evidence: a page. */
const NULL_PAGE = 0x1000n;
/** The default of vm.mmap_min_addr: nothing is mapped below. Counts where it is known that nothing is. */
const LOWEST_MAPPING = 0x1_0000n;
const ADDRESSES = 1n << 64n;
/** The half of the addresses that belongs to the kernel. */
const KERNEL_HALF = 1n << 63n;
/** Distance from the stack pointer at which an access counts as one to the stack: large frames, and a red zone. */
const FRAME_ABOVE = 1n << 20n;
const FRAME_BELOW = 1n << 16n;
/** Distance below the stack of the first thread, if nothing is mapped between: one frame may be as large. */
const STACK_BELOW = 1n << 30n;
/** Frames of one recursion that are evidence for a full stack. */
const DEEP = 100;
/** Holes that munmap(2) leaves are below other mappings; a wild pointer hits one as near as this by accident only. */
const NEAR = 64n << 20n;
/** Characters of the names of a recursion. */
const NAMES_CHARS_MAX = 128;

const SEGV = { MAPERR: 1, ACCERR: 2, BNDERR: 3, PKUERR: 4, MTEAERR: 8, MTESERR: 9, CPERR: 10 } as const;
const TRAP_PROTECTION = 13;

const isSegv = (facts: CrashFacts, ...codes: number[]): boolean =>
  facts.signo === SIGSEGV && facts.fault !== null && codes.includes(facts.fault.code);
const isTrap = (facts: CrashFacts, trap: number): boolean => facts.fault?.trap_nr === trap && facts.address === null;

export const MEMORY: readonly Row[] = [
  {
    reason: 'protection_key',
    when: (facts) => isSegv(facts, SEGV.PKUERR),
    words: 'access to memory that its protection key forbids',
    evidence: () => ['SEGV_PKUERR: pkey_mprotect(2) gave the memory a key, and the thread had turned it off'],
  },
  {
    reason: 'memory_tag',
    when: (facts) => isSegv(facts, SEGV.MTEAERR, SEGV.MTESERR),
    words: 'the tag of the pointer is not the one of the memory (MTE): use after free, or an access out of bounds',
    evidence: () => ['SEGV_MTEAERR or SEGV_MTESERR: the processor compared the tags'],
  },
  {
    reason: 'shadow_stack',
    when: (facts) => isSegv(facts, SEGV.CPERR),
    words: 'a return address was overwritten (shadow stack)',
    evidence: () => ['SEGV_CPERR: the return address on the stack differs from the one on the shadow stack'],
  },
  {
    reason: 'wild_pointer',
    // movaps and privileged instructions raise the same trap. Their code shows it, and instructions.ts, which comes first, explains them.
    when: (facts) => facts.signo === SIGSEGV && isTrap(facts, TRAP_PROTECTION) && facts.code.length > 0,
    words: 'wild pointer: an address that no memory can have',
    evidence: () => ['general protection fault (trap 13) without an address: it was not canonical'],
  },
  {
    reason: 'stack_overflow',
    when: (facts) => isSegv(facts, SEGV.MAPERR, SEGV.ACCERR) && isBesideStack(facts) && stackEvidence(facts).length > 0,
    words: (facts) => {
      const recursion = recursionOf(facts.frames);
      return `stack overflow${recursion === null ? '' : ` (recursion of ${cutText(recursion.of, NAMES_CHARS_MAX)})`}`;
    },
    evidence: (facts) => [besideStack(facts), ...stackEvidence(facts)],
  },
  {
    reason: 'null_call',
    when: (facts) =>
      isSegv(facts, SEGV.MAPERR) && facts.access === 'execute' && (facts.address ?? NULL_PAGE) < NULL_PAGE,
    words: 'call of a null pointer',
    evidence: (facts) => [`the instruction pointer was ${hex(facts.address ?? 0n)}: nothing is mapped there`],
  },
  {
    reason: 'null_dereference',
    when: (facts) =>
      isSegv(facts, SEGV.MAPERR, SEGV.ACCERR) &&
      facts.access !== 'execute' &&
      facts.mapping === null &&
      nullOffset(facts) !== null,
    words: (facts) => `null dereference (${accessTo(facts, nullOffset(facts) ?? '')})`,
    evidence: (facts) => [
      `the address ${hex(facts.address ?? 0n)} is ${nullOffset(facts)} of a null pointer p, and is not mapped`,
    ],
  },
  ...jumps(),
  ...forbidden(),
  ...unmapped(),
];

/** `p + 0x18`, `p - 0x8`; null: not near zero. */
function nullOffset({ address, mapped }: CrashFacts): string | null {
  if (address === null) return null;
  if (address === 0n) return 'p';
  if (address < NULL_PAGE || (mapped && address < LOWEST_MAPPING)) return `p + ${hex(address)}`;
  return address >= ADDRESSES - NULL_PAGE ? `p - ${hex(ADDRESSES - address)}` : null;
}

function accessTo({ access }: CrashFacts, what: string): string {
  return access === null || access === 'execute' ? what : `${access} of ${what}`;
}

function isBesideStack({ address, stack }: CrashFacts): boolean {
  return address !== null && stack !== null && address + FRAME_BELOW >= stack && address <= stack + FRAME_ABOVE;
}

function besideStack({ address, stack }: CrashFacts): string {
  const distance = (address ?? 0n) - (stack ?? 0n);
  const place =
    distance === 0n ? 'at' : `${size(distance < 0n ? -distance : distance)} ${distance < 0n ? 'below' : 'above'}`;
  return `the address is ${place} the stack pointer ${hex(stack ?? 0n)}`;
}

/** That the end of the stack was reached; empty: nothing shows it. */
function stackEvidence({ address, mapped, mapping, nextMapping, frames }: CrashFacts): string[] {
  const recursion = recursionOf(frames);
  const deep = recursion !== null && recursion.frames >= DEEP;
  const guard = mapping !== null && /^---/.test(mapping.access) && mapping.path === null;
  const below = mapped && mapping === null && nextMapping?.grows_down === true;
  const gap = below ? BigInt(nextMapping.start) - (address ?? 0n) : null;
  return [
    ...(guard ? [`the address is in the guard below a thread's stack (${rangeOf(mapping)})`] : []),
    ...(gap !== null && gap <= STACK_BELOW ? [`the address is ${size(gap)} below the stack of the first thread`] : []),
    ...(deep ? [`${recursion.frames.toLocaleString('en-US')} frames of ${recursion.of}`] : []),
  ];
}

function jumps(): Row[] {
  return [
    {
      reason: 'execute_data',
      when: (facts) =>
        facts.access === 'execute' &&
        isSegv(facts, SEGV.ACCERR) &&
        facts.mapping !== null &&
        !facts.mapping.access.includes('x'),
      words: ({ mapping }) => `execution of data: ${placeOfData(mapping)} is not executable`,
      evidence: ({ mapping }) => [mappingEvidence('the instruction pointer is', mapping)],
    },
    {
      reason: 'wild_jump',
      when: (facts) =>
        facts.access === 'execute' && isSegv(facts, SEGV.MAPERR) && (!facts.mapped || facts.mapping === null),
      words:
        'jump to an address where no code is: a wild function pointer, an overwritten return address, or an unloaded library',
      evidence: ({ address }) => [`the instruction pointer was ${hex(address ?? 0n)}: nothing is mapped there`],
    },
  ];
}

function forbidden(): Row[] {
  const denied = (facts: CrashFacts): boolean => isSegv(facts, SEGV.ACCERR) && facts.access !== 'execute';
  return [
    {
      reason: 'no_access',
      when: (facts) => denied(facts) && facts.mapping !== null && /^---/.test(facts.mapping.access),
      words: 'access to memory without any permission (PROT_NONE): a guard, or reserved or protected memory',
      evidence: ({ mapping }) => [mappingEvidence('the address is', mapping)],
    },
    {
      reason: 'write_protected',
      when: (facts) =>
        denied(facts) && facts.access === 'write' && facts.mapping !== null && facts.mapping.access[1] !== 'w',
      words: ({ mapping }) => `write to ${mapping?.access[2] === 'x' ? 'code' : 'read-only memory'}${named(mapping)}`,
      evidence: ({ mapping }) => [mappingEvidence('the address is', mapping)],
    },
  ];
}

function unmapped(): Row[] {
  const nowhere = (facts: CrashFacts): boolean => isSegv(facts, SEGV.MAPERR) && facts.mapped && facts.mapping === null;
  return [
    {
      reason: 'unmapped_memory',
      when: (facts) => nowhere(facts) && distanceAbove(facts) <= NEAR,
      words: (facts) =>
        `${facts.access ?? 'access'} of memory that is not mapped: it was unmapped (munmap, free of a large block), or is past the end of a mapping`,
      evidence: ({ address, nextMapping, ...facts }) => [
        `nothing is mapped at ${hex(address ?? 0n)}, and the next mapping is only ${size(distanceAbove({ address, nextMapping, ...facts }))} above: ${rangeOf(nextMapping)}`,
      ],
    },
    {
      reason: 'wild_pointer',
      when: nowhere,
      words: (facts) => `wild pointer (${accessTo(facts, hex(facts.address ?? 0n))})`,
      evidence: ({ address }) => [`nothing is mapped at ${hex(address ?? 0n)}, nor within ${size(NEAR)} above`],
    },
    {
      reason: 'wild_pointer',
      when: (facts) => isSegv(facts, SEGV.MAPERR, SEGV.ACCERR) && (facts.address ?? 0n) >= KERNEL_HALF,
      words: (facts) => `wild pointer (${accessTo(facts, hex(facts.address ?? 0n))})`,
      evidence: ({ address }) => [`${hex(address ?? 0n)} is an address of the kernel`],
    },
  ];
}

function distanceAbove({ address, nextMapping }: CrashFacts): bigint {
  return nextMapping === null || address === null ? ADDRESSES : BigInt(nextMapping.start) - address;
}
