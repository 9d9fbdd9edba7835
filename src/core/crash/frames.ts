// SPDX-License-Identifier: Apache-2.0
// The frames of a crash as people and machines read them: labels, recursion collapsed to one line, and the frames without those that only
// report the crash. The loader found them (docs/wire.md, Frame); stacktrace.ts and fingerprint.ts write them.
import { cutText } from '../identity/redact.ts';
import type { Frame } from '../wire/crash.ts';
import { BETWEEN, HANDLED, LIBRARY, REPORTING, SIGNAL_HANDLER_CALLED } from './reporting.ts';

/** The longest cycle of functions that is collapsed: a calls b, b calls a. */
const CYCLE_MAX = 8;
/** What repeats less often is shown. */
const TIMES_MIN = 4;
/** Characters of a function's name in a label. Templates make names of kilobytes. */
const FUNCTION_CHARS_MAX = 256;
const MODULE_CHARS_MAX = 64;

/** How the loader marks the frame that stands for those it left out, with their number, and whether they go on with the recursion before. */
const LEFT_OUT = /^<(\d{1,9}) frames (of the recursion )?left out>$/;

/** A frame, or a cycle of frames that repeats. */
export interface Line {
  /** Position of the first frame in the stack. */
  readonly number: number;
  /** One, or those of one cycle. */
  readonly frames: readonly [Frame, ...Frame[]];
  /** How often it occurs, the last time perhaps in part; 1: it does not repeat. */
  readonly times: number;
}

/** The stack with recursion collapsed: a function that calls itself, or a cycle of functions. */
export function collapse(frames: readonly Frame[]): Line[] {
  const functions = numbered(frames);
  const lines: Line[] = [];
  let number = 0;
  for (let at = 0; at < frames.length; ) {
    const { length, times } = cycleAt(functions, at);
    const [first, ...rest] = frames.slice(at, at + length);
    if (first === undefined) break;
    lines.push({ number, frames: [first, ...rest], times });
    number += leftOut(first) ?? length * times;
    at += length * times;
  }
  return joined(lines);
}

/** A recursion whose middle was left out is one line. */
function joined(lines: readonly Line[]): Line[] {
  const cut = lines.findIndex(({ frames: [first] }) => first.found_by === 'cut' && isOfRecursion(first));
  const from = lines.findLastIndex(({ times }, at) => at < cut && times > 1);
  const cycle = lines[from];
  if (cycle === undefined) return [...lines];
  const names = new Set(cycle.frames.map(functionKey));
  const isInCycle = ({ frames }: Line) => frames.every((frame) => names.has(functionKey(frame)));
  const outer = lines.slice(cut + 1);
  const end = outer.findIndex((line) => !isInCycle(line));
  const to = end < 0 ? lines.length : cut + 1 + end;
  if (!lines.slice(from, cut).every(isInCycle)) return [...lines];
  const frames = lines.slice(from, to).reduce((sum, line) => sum + framesIn(line), 0);
  return [...lines.slice(0, from), { ...cycle, times: frames / cycle.frames.length }, ...lines.slice(to)];
}

function framesIn({ frames, times }: Line): number {
  return leftOut(frames[0]) ?? frames.length * times;
}

function isOfRecursion({ function: name }: Frame): boolean {
  return LEFT_OUT.exec(name ?? '')?.[2] !== undefined;
}

/** Equal for frames of the same function; of the same place, where the function is not known. */
function functionKey({ guess, module, build_id, function: name, pc }: Frame): string {
  return `${guess}\0${module}\0${build_id}\0${name ?? pc}`;
}

/** The same number for each frame of the same function; of the same place, where the function is not known. */
function numbered(frames: readonly Frame[]): number[] {
  const numbers = new Map<string, number>();
  return frames.map((frame) => {
    const key = functionKey(frame);
    const number = numbers.get(key) ?? numbers.size;
    numbers.set(key, number);
    return number;
  });
}

/** The shortest cycle that begins at this frame, and how often it occurs. */
function cycleAt(functions: readonly number[], at: number): { length: number; times: number } {
  for (let length = 1; length <= CYCLE_MAX; length++) {
    let same = 0;
    while (at + same + length < functions.length && functions[at + same] === functions[at + same + length]) same++;
    const times = Math.floor(same / length) + 1;
    if (times >= TIMES_MIN) return { length, times };
  }
  return { length: 1, times: 1 };
}

/** How many frames this one stands for. null: it is a frame. */
export function leftOut({ found_by, function: name }: Frame): number | null {
  return found_by === 'cut' ? Number(LEFT_OUT.exec(name ?? '')?.[1] ?? 1) : null;
}

/**
 * `leaf+0x1f (chain)`; `chain+0x1184` without a function, `0x55d4ce68a0b0 (chain)` if the file could not be read, `0x7f0b172a8eec`
 * without a module. A guess says so.
 */
export function frameLabel(frame: Frame): string {
  const { function: name, module, offset, address, guess, found_by } = frame;
  const file = module === null ? null : cutText(fileName(module), MODULE_CHARS_MAX);
  const mark = guess ? ` [guess: ${found_by}]` : '';
  if (name !== null) {
    const place = offset === 0 ? '' : `+0x${offset.toString(16)}`;
    return `${cutText(name, FUNCTION_CHARS_MAX)}${place}${file === null ? '' : ` (${file})`}${mark}`;
  }
  if (file === null) return `${frame.pc}${mark}`;
  return `${address === null ? `${frame.pc} (${file})` : `${file}+${address}`}${mark}`;
}

/** The function, else the file, else the address. */
export function frameName({ function: name, module, pc }: Frame): string {
  return cutText(name ?? (module === null ? pc : fileName(module)), FUNCTION_CHARS_MAX);
}

export function fileName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/**
 * The frames from the one on that called what reports a crash: abort(3) and the functions in front of it of C libraries and of
 * languages. Empty, if nothing else is left.
 */
export function withoutReporting(frames: readonly Frame[]): readonly Frame[] {
  const count = reportingFrames(frames);
  if (count === 0) return frames;
  const from = frames.findIndex((frame, at) => at >= count && !isOfLibrary(frame));
  return from < 0 ? [] : frames.slice(from);
}

/** The frames from the caller of the C library on. All of them, if there is none. */
export function outsideLibraries(frames: readonly Frame[]): readonly Frame[] {
  const from = frames.findIndex(({ module, guess }) => guess || module === null || !LIBRARY.test(fileName(module)));
  return from < 0 ? frames : frames.slice(from);
}

/** What the library calls in front of its exported function has no name. */
function isOfLibrary({ function: name, module }: Frame): boolean {
  return name === SIGNAL_HANDLER_CALLED || (name === null && module !== null && LIBRARY.test(fileName(module)));
}

/** Functions without a name that may lie in front of one that reports: those of a stripped interpreter or library. */
const UNNAMED_MAX = 6;
/** Frames of a program's own handler of exceptions or panics. */
const HANDLER_FRAMES_MAX = 8;

/** How many frames, from the innermost on, report the crash. A handler of the program counts, if it was called to report. */
export function reportingFrames(frames: readonly Frame[]): number {
  const count = leadingReporters(frames);
  const handler = frames.slice(count, count + HANDLER_FRAMES_MAX);
  const known = handler.findIndex(({ guess }) => guess);
  const sure = known < 0 ? handler : handler.slice(0, known);
  const at = sure.findIndex(({ function: name }) => name !== null && HANDLED.test(name));
  return at < 0 ? count : count + at + leadingReporters(frames.slice(count + at));
}

function leadingReporters(frames: readonly Frame[]): number {
  let count = 0;
  for (const [at, { function: name, module, guess }] of frames.entries()) {
    if (guess || at - count > UNNAMED_MAX) break;
    if (name === null || BETWEEN.test(name)) continue;
    const before = frames.slice(count, at);
    const ofLibrary = before.every((frame) => frame.function !== null || frame.module === module);
    if (!REPORTING.test(name) || !ofLibrary) break;
    count = at + 1;
  }
  return count;
}

/** The innermost function that is known, as a label. null: only guesses, or code without a file. */
export function placeOf(frames: readonly Frame[]): string | null {
  const frame = frames.find(({ guess, module, found_by }) => guess || (module !== null && found_by !== 'cut'));
  return frame === undefined || frame.guess ? null : frameLabel(frame);
}

/** Frames of the function, or of the cycle of functions, that recurs most. Frames that were left out between equal ones count. */
export function recursionOf(frames: readonly Frame[]): { readonly frames: number; readonly of: string } | null {
  const lines = collapse(frames).filter(({ times, frames: [first] }) => times >= TIMES_MIN && leftOut(first) === null);
  const deepest = lines.sort((a, b) => b.times * b.frames.length - a.times * a.frames.length)[0];
  if (deepest === undefined) return null;
  return { frames: framesIn(deepest), of: namesOf(deepest) };
}

/** Functions of a cycle that are named. */
const NAMES_MAX = 3;

export function namesOf({ frames }: Line): string {
  const names = frames.slice(0, NAMES_MAX).map(frameName);
  return frames.length > NAMES_MAX ? `${names.join(', ')}, …` : names.join(', ');
}
