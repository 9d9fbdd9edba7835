// SPDX-License-Identifier: Apache-2.0
// Redacts secrets in arguments, and cuts arguments to size. It errs on the side of redacting: a lost argument is a nuisance, a leaked
// password is an incident. The forms of secrets are in secret-forms.ts; arguments.ts applies WHODUNIT_ARGUMENTS.
import { Memo, textKey } from '../memo.ts';
import {
  HARMLESS_P,
  MARK,
  MARKED_FORMS,
  PROGRAMS,
  type ProgramForms,
  SEARCHERS,
  SECRET_BARE_WORD,
  SECRET_ENDINGS,
  SECRET_WORDS,
  type TextForm,
  TOKEN_CHARS_MIN,
  TOKEN_FORMS,
  WRAPPERS,
} from './secret-forms.ts';

export const REDACTED = '[REDACTED]';
/** Limits on emitted arguments: characters of one, number of arguments, characters of all. */
export const ARGUMENT_CHARS_MAX = 256;
export const ARGUMENTS_MAX = 64;
export const ARGUMENTS_CHARS_MAX = 4096;
/** Characters of an argument that are scanned: more than are emitted, so that a secret at the cut is still recognized. */
const SCANNED_CHARS_MAX = 4096;

const SECRET_NAME = `(?:[\\w.-]{0,40}?[-_.])?(?:${SECRET_WORDS})(?:[-_.][\\w.-]{0,40})?|[\\w.-]{0,60}(?:${SECRET_ENDINGS})`;
const OPTION = new RegExp(`^--?(?:${SECRET_NAME})$`, 'i');
const OPTION_WITH_VALUE = new RegExp(`^(--?(?:${SECRET_NAME}|from-literal=[\\w.-]{1,80})[=:])[\\s\\S]*$`, 'i');
/** A name and a value, at the start or after a separator, in quotes or not; the quotes may be escaped. */
const ASSIGNMENT = new RegExp(
  `((?:^|[\\s?&;,{("'=:/])\\\\?["']?(?:${SECRET_NAME})\\\\?["']?\\s{0,4}[=:]\\s{0,4})(\\\\?"[^"]*"?|'[^']*'?|[^\\s&;,"'})]+)`,
  'gi',
);
const SCHEME = /^(?:bearer|basic|digest|negotiate|token)$/i;
/** Options whose value is a user, often with a password after a colon. */
const USER_OPTION = /^--(?:proxy-)?user$/;
/** Port numbers, port mappings, process ids: the usual values of a `-p` that is not a password. */
const PORTS = /^[\d.:,/-]+(?:tcp|udp)?$/;
const OPTION_LIKE = /^-/;

/** Command lines whose redacted form is remembered; their secrets stay as long in memory. */
const REMEMBERED_MAX = 256;
const remembered = new Memo<readonly string[]>(REMEMBERED_MAX);

/** The arguments with secrets replaced by `[REDACTED]`, cut to the limits above. */
export function redactArguments(args: readonly string[]): readonly string[] {
  // One beyond the limit shows that something was cut.
  return remembered.of(textKey(args), () => cutArguments(redactWords(args.slice(0, ARGUMENTS_MAX + 1), redactText)));
}

/** One text with secrets redacted, including those of a command line in it (`sh -c`). Cut only at SCANNED_CHARS_MAX. */
export function redactText(text: string): string {
  const scanned = text.length > SCANNED_CHARS_MAX ? text.slice(0, SCANNED_CHARS_MAX) : text;
  if (scanned.length < 4) return scanned;
  const clean = redactForms(scanned);
  if (!/\s/.test(clean)) return clean;
  const parts = clean.split(/(\s+)/);
  const words = redactWords(
    parts.filter((_, index) => index % 2 === 0),
    (word) => word,
  );
  return parts.map((part, index) => (index % 2 === 0 ? words[index / 2] : part)).join('');
}

/** Assignments, URLs with credentials, authorization headers, well-known tokens. */
function redactForms(text: string): string {
  if (!MARK.test(text)) return text.length < TOKEN_CHARS_MIN ? text : redactByForm(text, TOKEN_FORMS);
  const clean = redactByForm(text.replace(OPTION_WITH_VALUE, `$1${REDACTED}`), TOKEN_FORMS);
  return redactByForm(clean, MARKED_FORMS).replace(ASSIGNMENT, (whole: string, name: string, value: string) =>
    value.startsWith(REDACTED) || SCHEME.test(value) ? whole : `${name}${REDACTED}`,
  );
}

function redactByForm(text: string, forms: readonly TextForm[]): string {
  let clean = text;
  for (const { pattern, shown } of forms) clean = clean.replace(pattern, shown.replace('*', REDACTED));
  return clean;
}

/** Redacts secrets that follow from the program or the word before. Other words are as `clean` returns them. */
function redactWords(words: readonly string[], clean: (word: string) => string): string[] {
  let program: string | null = null;
  let forms: ProgramForms = {};
  /** Range of positions whose words are secrets, except options. */
  let [secretFrom, secretTo] = [-1, -1];
  return words.map((quoted, at) => {
    const word = quoted.replace(/^["']|["']$/g, '');
    const before = words[at - 1] ?? '';
    const named = PROGRAMS.get(baseName(word));
    // After a program's name its options follow, also behind `sudo -u x` or in the middle of a script.
    if (named !== undefined && (named.ordinary !== true || program === null)) forms = named;
    program ??= programOf(word);
    if (at >= secretFrom && at <= secretTo && !OPTION_LIKE.test(word))
      return before === '-p' && PORTS.test(word) ? quoted : REDACTED;
    if (forms.after?.word.test(word)) [secretFrom, secretTo] = [at + forms.after.places, words.length];
    else if (wantsSecret(word, at, program, forms)) [secretFrom, secretTo] = [at + 1, at + 1];
    return redactPart(word, before, forms) ?? clean(quoted);
  });
}

/** The word with its secret part redacted. null: its position makes no part of it a secret. */
function redactPart(word: string, before: string, forms: ProgramForms): string | null {
  if (USER_OPTION.test(before) && word.includes(':')) return `${word.slice(0, word.indexOf(':') + 1)}${REDACTED}`;
  if (forms.pattern?.test(word) === true) return word.replace(forms.pattern, `$1${REDACTED}`);
  const attached = word.length > 2 && word[0] === '-' && forms.attached?.includes(word[1] ?? '') === true;
  return attached ? `${word.slice(0, 2)}${REDACTED}` : null;
}

/** Whether the next argument is a secret. */
function wantsSecret(word: string, at: number, program: string | null, forms: ProgramForms): boolean {
  if (OPTION.test(word) || forms.words?.includes(word) === true) return true;
  if (at > 0 && SECRET_BARE_WORD.test(word)) return program === null || !SEARCHERS.has(program);
  if (word.length !== 2 || word[0] !== '-') return false;
  if (forms.next?.includes(word[1] ?? '') === true) return true;
  const harmless = forms.attached?.includes('p') === true || (program !== null && HARMLESS_P.has(program));
  return word === '-p' && !harmless;
}

/** The program that a word in command position names. null: the command comes later (`sudo`, `X=1`, `-n`, `5`). */
function programOf(word: string): string | null {
  const name = baseName(word);
  return WRAPPERS.has(name) || OPTION_LIKE.test(word) || /^\w+=/.test(word) || /^\d+[smhd]?$/.test(word) ? null : name;
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** The arguments cut to the limits. Does not redact. */
export function cutArguments(args: readonly string[]): string[] {
  const cut: string[] = [];
  let chars = 0;
  for (const arg of args) {
    if (cut.length === ARGUMENTS_MAX || chars >= ARGUMENTS_CHARS_MAX) {
      cut.push('…');
      break;
    }
    const short = cutText(arg, Math.min(ARGUMENT_CHARS_MAX, ARGUMENTS_CHARS_MAX - chars));
    cut.push(short);
    chars += short.length;
  }
  return cut;
}

/** At most `chars` characters; `…` marks a cut. Never splits a surrogate pair. */
export function cutText(text: string, chars: number): string {
  if (text.length <= chars) return text;
  return `${text.slice(0, Math.max(0, chars - 1)).replace(/[\uD800-\uDBFF]$/, '')}…`;
}
