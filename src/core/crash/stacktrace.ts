// SPDX-License-Identifier: Apache-2.0
// The stack of a crash as text, in the form that debuggers print, and as one JSON object for each line, for machines. Names are the choice
// of the one who built the program: none of them begins a line or controls a terminal.
import type { Crash, Frame } from '../wire/crash.ts';
import { visible } from '../words/visible.ts';
import { collapse, frameLabel, type Line, leftOut, namesOf } from './frames.ts';

/** Characters of a stack as text. The outermost lines are left out. */
export const STACKTRACE_CHARS_MAX = 16_384;
/** Lines of a stack as JSON. */
export const FRAMES_MAX = 64;
/** Characters of all of them. */
export const FRAMES_CHARS_MAX = 16_384;
const LEFT_OUT = '… the rest was left out';

/** `#0 leaf+0x1f (chain)`, a line for each frame. null: there are no frames. */
export function stacktraceOf(crash: Crash): string | null {
  const handled = crash.handled_frames.length === 0 ? [] : ['at the fault that was handled before:'];
  const lines = [...linesOf(crash.frames), ...handled, ...linesOf(crash.handled_frames)];
  return lines.length === 0 ? null : within(lines, STACKTRACE_CHARS_MAX, LEFT_OUT).join('\n');
}

function linesOf(frames: readonly Frame[]): string[] {
  return collapse(frames).flatMap(textOf).map(visible);
}

function textOf(line: Line): string[] {
  const { number, frames, times } = line;
  const skipped = leftOut(frames[0]);
  if (skipped !== null) return [`… ${counted(skipped)} left out`];
  const shown = frames.map((frame, index) => `#${number + index} ${frameLabel(frame)}`);
  const more = Math.round((times - 1) * frames.length);
  return times === 1 ? shown : [...shown, `… ${counted(more)} of ${namesOf(line)}`];
}

/** `1,234 frames`. */
function counted(frames: number): string {
  return `${frames.toLocaleString('en-US')} ${frames === 1 ? 'frame' : 'frames'}`;
}

/** As JSON, because backends have no lists of objects. `times`: how often the cycle that begins there occurs. */
export function framesOf(frames: readonly Frame[]): string[] {
  const all = collapse(frames).flatMap((line) => line.frames.map((frame) => structured(frame, line.times)));
  return within(all.slice(0, FRAMES_MAX), FRAMES_CHARS_MAX, null);
}

/** visible() escapes as JSON does, so that the text is inert and parses to the original. */
function structured(frame: Frame, times: number): string {
  const { function: name, offset, module, address, build_id, found_by, guess } = frame;
  const known = { function: name, module, address, build_id };
  const facts = Object.entries(known).filter(([, value]) => value !== null);
  return visible(
    JSON.stringify({
      ...Object.fromEntries(facts),
      ...(name === null ? {} : { offset }),
      ...(module === null ? { pc: frame.pc } : {}),
      found_by,
      ...(guess ? { guess } : {}),
      ...(times === 1 ? {} : { times: Math.floor(times) }),
    }),
  );
}

/** The first lines whose characters, with a line break each, are at most `charsMax`; then `mark`. */
function within(lines: readonly string[], charsMax: number, mark: string | null): string[] {
  const reserved = mark === null ? 0 : mark.length + 1;
  let chars = 0;
  let fits = 0;
  for (const line of lines) {
    chars += line.length + 1;
    if (chars > charsMax - reserved) break;
    fits++;
  }
  if (fits === lines.length) return [...lines];
  return mark === null ? lines.slice(0, fits) : [...lines.slice(0, fits), mark];
}
