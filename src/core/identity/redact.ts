// SPDX-License-Identifier: Apache-2.0
// Arguments without their secrets, and cut to size. It errs on the side of hiding: a lost argument is a nuisance, a leaked
// password is an incident. How secrets look is in secret-forms.ts; what may be emitted at all (WHODUNIT_ARGUMENTS) is left to arguments.ts.
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
/** Limits of what is emitted: characters of one argument, number of arguments, characters of all of them. */
export const ARGUMENT_CHARS_MAX = 256;
export const ARGUMENTS_MAX = 64;
export const ARGUMENTS_CHARS_MAX = 4096;
/** How much of an argument is scanned: more than is emitted, so that a secret cannot start behind the cut. */
const SCANNED_CHARS_MAX = 4096;

const SECRET_NAME = `(?:[\\w.-]{0,40}?[-_.])?(?:${SECRET_WORDS})(?:[-_.][\\w.-]{0,40})?|[\\w.-]{0,60}(?:${SECRET_ENDINGS})`;
const OPTION = new RegExp(`^--?(?:${SECRET_NAME})$`, 'i');
const OPTION_WITH_VALUE = new RegExp(`^(--?(?:${SECRET_NAME}|from-literal=[\\w.-]{1,80})[=:])[\\s\\S]*$`, 'i');
/** A name and a value, at the begin or after a separator, perhaps in quotes that a shell or JSON wants escaped. */
const ASSIGNMENT = new RegExp(
  `((?:^|[\\s?&;,{("'=:/])\\\\?["']?(?:${SECRET_NAME})\\\\?["']?\\s{0,4}[=:]\\s{0,4})(\\\\?"[^"]*"?|'[^']*'?|[^\\s&;,"'})]+)`,
  'gi',
);
const SCHEME = /^(?:bearer|basic|digest|negotiate|token)$/i;
/** Options whose value is a user, and often a password behind a colon. */
const USER_OPTION = /^--(?:proxy-)?user$/;
/** Port numbers, port mappings, process ids: what `-p` means for most programs that do not mean a password. */
const PORTS = /^[\d.:,/-]+(?:tcp|udp)?$/;
const OPTION_LIKE = /^-/;

/** The arguments with secrets replaced by `[REDACTED]`, each and all of them cut to the limits above. */
export function redactArguments(args: readonly string[]): string[] {
  // One beyond the limit shows that something was cut; more are of no use.
  return cutArguments(redactWords(args.slice(0, ARGUMENTS_MAX + 1), redactText));
}

/** One text without its secrets, also those of a command line in it (`sh -c`). Cut only at SCANNED_CHARS_MAX. */
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

/** Secrets that follow from the word before; every other word as `clean` returns it. */
function redactWords(words: readonly string[], clean: (word: string) => string): string[] {
  let program: string | null = null;
  let forms: ProgramForms = {};
  /** The words from the one place to the other are secrets, those that are no options. */
  let [secretFrom, secretTo] = [-1, -1];
  return words.map((quoted, at) => {
    const word = quoted.replace(/^["']|["']$/g, '');
    const before = words[at - 1] ?? '';
    const named = PROGRAMS.get(baseName(word));
    // Also behind `sudo -u x` or in the middle of a script: the options after a program's name are its options.
    if (named !== undefined && (named.ordinary !== true || program === null)) forms = named;
    program ??= programOf(word);
    if (at >= secretFrom && at <= secretTo && !OPTION_LIKE.test(word))
      return before === '-p' && PORTS.test(word) ? quoted : REDACTED;
    if (forms.after?.word.test(word)) [secretFrom, secretTo] = [at + forms.after.places, words.length];
    else if (wantsSecret(word, at, program, forms)) [secretFrom, secretTo] = [at + 1, at + 1];
    if (USER_OPTION.test(before) && word.includes(':')) return `${word.slice(0, word.indexOf(':') + 1)}${REDACTED}`;
    if (forms.pattern?.test(word) === true) return word.replace(forms.pattern, `$1${REDACTED}`);
    const attached = word.length > 2 && word[0] === '-' && forms.attached?.includes(word[1] ?? '') === true;
    return attached ? `${word.slice(0, 2)}${REDACTED}` : clean(quoted);
  });
}

/** Whether the next argument is the secret. */
function wantsSecret(word: string, at: number, program: string | null, forms: ProgramForms): boolean {
  if (OPTION.test(word) || forms.words?.includes(word) === true) return true;
  if (at > 0 && SECRET_BARE_WORD.test(word)) return program === null || !SEARCHERS.has(program);
  if (word.length !== 2 || word[0] !== '-') return false;
  if (forms.next?.includes(word[1] ?? '') === true) return true;
  const harmless = forms.attached?.includes('p') === true || (program !== null && HARMLESS_P.has(program));
  return word === '-p' && !harmless;
}

/** The program that a word at the place of a command names; null: the command comes later (`sudo`, `X=1`, `-n`, `5`). */
function programOf(word: string): string | null {
  const name = baseName(word);
  return WRAPPERS.has(name) || OPTION_LIKE.test(word) || /^\w+=/.test(word) || /^\d+[smhd]?$/.test(word) ? null : name;
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** The arguments with their secrets, cut to the limits. */
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

/** At most `chars` characters, with `…` where something was cut; never half a surrogate pair. */
export function cutText(text: string, chars: number): string {
  if (text.length <= chars) return text;
  return `${text.slice(0, Math.max(0, chars - 1)).replace(/[\uD800-\uDBFF]$/, '')}…`;
}
