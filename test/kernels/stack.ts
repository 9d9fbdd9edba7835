// SPDX-License-Identifier: Apache-2.0
// Compares the stack of a record with what a crash must have (crashes.ts). Pure but for the symbols, which it reads.
import { readFileSync } from 'node:fs';
import type { LogRecord } from '../../scripts/stack/otlp-file.ts';
import type { CrashCase } from './crashes.ts';

const SIGNAL_HANDLER = '<signal handler called>';

/** A function of a program, as nm lists it. */
interface FunctionSymbol {
  readonly address: bigint;
  readonly name: string;
}

/** The symbols of a program before it was stripped, by address. */
export type Symbols = readonly FunctionSymbol[];

export function readSymbols(path: string): Symbols {
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, address, name] = /^([0-9a-f]+) [tTwW] (.*)$/.exec(line) ?? [];
      return address === undefined || name === undefined ? [] : [{ address: BigInt(`0x${address}`), name }];
    });
}

/** One sentence for each difference. */
export function checkStack(wanted: CrashCase, { attributes, body }: LogRecord, symbols: Symbols): string[] {
  const differences: string[] = [];
  const state = attributes['whodunit.crash.stack'];
  if (state !== 'unwound') differences.push(`the stack is ${state}: ${attributes['whodunit.evidence']}`);
  const trace = String(attributes['exception.stacktrace']);
  if (!inOrder(namesOf(trace, wanted.program, symbols), wanted.functions))
    differences.push(`the stack\n${trace}\nhas not in order: ${wanted.functions.join(', ')}`);
  if (trace.includes('[guess')) differences.push(`a frame is a guess:\n${trace}`);
  if (!wanted.sentence.test(String(body))) differences.push(`the body is ${body}; wanted ${wanted.sentence}`);
  return differences;
}

/** Differences of a record where no stack is copied. */
export function checkNoStack({ attributes }: LogRecord): string[] {
  const said = ['whodunit.crash.frames', 'exception.stacktrace'];
  return said.filter((name) => attributes[name] !== undefined).map((name) => `${name} is ${attributes[name]}`);
}

/** The functions of a stack. Those that the file has no names for are looked for among those that were stripped. */
function namesOf(trace: string, program: string, symbols: Symbols): string[] {
  const names: string[] = [];
  for (const line of trace.split('\n')) {
    const [, name, offset, module] = /^#\d+ (.*?)(?:\+0x([0-9a-f]+))?(?: \(([^()]+)\))?$/.exec(line) ?? [];
    if (name === undefined) continue;
    const isCall = names.length > 0 && names.at(-1) !== SIGNAL_HANDLER; // then the address is behind it
    const isStripped = module === undefined && name === program && offset !== undefined;
    names.push(isStripped ? functionAt(BigInt(`0x${offset}`) - (isCall ? 1n : 0n), symbols) : name);
  }
  return names;
}

function functionAt(address: bigint, symbols: Symbols): string {
  return symbols.findLast((symbol) => symbol.address <= address)?.name.replace(/\.cold$/, '') ?? '?';
}

function inOrder(names: readonly string[], wanted: readonly string[]): boolean {
  let found = 0;
  for (const name of names) if (name === wanted[found]) found += 1;
  return found === wanted.length;
}
