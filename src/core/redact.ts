// SPDX-License-Identifier: Apache-2.0
// Arguments without their secrets, and cut to size. It errs on the side of hiding: a lost argument is a nuisance, a leaked
// password is an incident. What may be emitted at all (WHODUNIT_ARGUMENTS) is left to enrich.ts and record.ts.

export const REDACTED = '[REDACTED]';
/** Limits of what is emitted: characters of one argument, number of arguments, characters of all of them. */
export const ARGUMENT_CHARS_MAX = 256;
export const ARGUMENTS_MAX = 64;
export const ARGUMENTS_CHARS_MAX = 4096;
/** What of an argument is looked at: longer than what is emitted, so that a secret cannot hide behind the cut. */
const SCANNED_CHARS_MAX = 4096;

const SECRET_WORD =
  'pass(?:word|wd|phrase|code)?|pwd|secret|token|api[-_.]?key|access[-_.]?key|private[-_.]?key|account[-_.]?key|encryption[-_.]?key|credentials?|auth(?:orization)?|cookie|session[-_.]?id|signature|sig|dsn';
/** A name that ends in a word for a secret, or has one as a part: `db-password`, `GITHUB_TOKEN`, `X-Api-Key`; not `author`. */
const SECRET_NAME = `(?:[\\w.-]{0,40}?[-_.])?(?:${SECRET_WORD})(?:[-_.][\\w.-]{0,40})?|[\\w.-]{0,60}(?:[Pp]assword|PASSWORD|[Ss]ecret|[Tt]oken|[Aa]pi[Kk]ey|[Pp]asswd)`;

const OPTION = new RegExp(`^--?(?:${SECRET_NAME})$`, 'i');
const OPTION_WITH_VALUE = new RegExp(`^(--?(?:${SECRET_NAME})[=:])[\\s\\S]*$`, 'i');
const ASSIGNMENT = new RegExp(
  `((?:^|[\\s?&;,{("'])["']?(?:${SECRET_NAME})["']?\\s{0,4}[=:]\\s{0,4})("[^"]*"?|'[^']*'?|[^\\s&;,"'})]+)`,
  'gi',
);
const URL_CREDENTIALS = /([a-z][a-z0-9+.-]{0,20}:\/\/)([^\s/@:?#]*)(:[^\s/@]*)?@/gi;
const SCHEMES = /\b(bearer|basic|digest|negotiate)\s+[\w.~+/=-]{6,}/gi;
const TOKENS =
  /\beyJ[\w-]{8,}\.[\w-]+\.?[\w-]*|\b(?:gh[pousr]|github_pat|glpat|xox[abeprs]|sk|rk|pk_live|hvs|npm|dop_v1|shpat)[-_][\w-]{10,}|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[\w-]{35}|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*/g;
/** Port numbers, port mappings, process ids: what `-p` means for most programs that do not mean a password. */
const HARMLESS_P = /^[\d.:,/-]+(?:tcp|udp)?$/;
const OPTION_LIKE = /^-/;

/** Short options that take a secret, by program: attached (`-psecret`) or next (`-a secret`). */
const SHORT_OPTIONS: ReadonlyMap<string, { readonly attached: string; readonly next: string }> = new Map([
  ['mysql', { attached: 'p', next: '' }],
  ['mysqldump', { attached: 'p', next: '' }],
  ['mysqladmin', { attached: 'p', next: '' }],
  ['mariadb', { attached: 'p', next: '' }],
  ['mariadb-dump', { attached: 'p', next: '' }],
  ['sshpass', { attached: 'p', next: 'p' }],
  ['redis-cli', { attached: '', next: 'a' }],
  ['curl', { attached: 'u', next: 'uU' }],
  ['ldapsearch', { attached: 'w', next: 'w' }],
  ['ldapmodify', { attached: 'w', next: 'w' }],
  ['smbclient', { attached: 'U', next: 'U' }],
  ['mongosh', { attached: '', next: 'p' }],
  ['sqlcmd', { attached: 'P', next: 'P' }],
  ['7z', { attached: 'p', next: '' }],
  ['zip', { attached: 'P', next: 'P' }],
  ['unzip', { attached: 'P', next: 'P' }],
]);

/** The arguments with secrets replaced by `[REDACTED]`, each and all of them cut to the limits above. */
export function redactArguments(args: readonly string[]): string[] {
  const first = args[0] ?? '';
  const short = SHORT_OPTIONS.get(first.slice(first.lastIndexOf('/') + 1));
  let hideNext = false;
  const clean: string[] = [];
  // Two beyond the limit are of no use: what is cut is cut here already.
  for (const arg of args.slice(0, ARGUMENTS_MAX + 1)) {
    if (hideNext && !OPTION_LIKE.test(arg)) {
      clean.push(REDACTED);
      hideNext = false;
      continue;
    }
    hideNext = false;
    if (OPTION.test(arg)) hideNext = true;
    else if (arg === '-p' && short === undefined) hideNext = true;
    else if (short !== undefined && arg.length === 2 && arg[0] === '-' && short.next.includes(arg[1] ?? ''))
      hideNext = true;
    if (short !== undefined && arg.length > 2 && arg[0] === '-' && short.attached.includes(arg[1] ?? '')) {
      clean.push(`${arg.slice(0, 2)}${REDACTED}`);
      continue;
    }
    clean.push(redactText(arg));
  }
  return cutArguments(restoreHarmless(args, clean));
}

/** One text without its secrets: assignments, URLs with credentials, authorization headers, well-known tokens. Not cut. */
export function redactText(text: string): string {
  const scanned = text.length > SCANNED_CHARS_MAX ? text.slice(0, SCANNED_CHARS_MAX) : text;
  if (scanned.length < 4) return scanned;
  return scanned
    .replace(OPTION_WITH_VALUE, `$1${REDACTED}`)
    .replace(TOKENS, REDACTED)
    .replace(SCHEMES, `$1 ${REDACTED}`)
    .replace(URL_CREDENTIALS, (_, scheme: string, user: string, password: string | undefined) =>
      password === undefined ? `${scheme}${REDACTED}@` : `${scheme}${user}:${REDACTED}@`,
    )
    .replace(ASSIGNMENT, (whole: string, name: string, value: string) =>
      value.startsWith(REDACTED) || /^(?:bearer|basic|digest|negotiate)$/i.test(value) ? whole : `${name}${REDACTED}`,
    );
}

/** The arguments, whole secrets and all, cut to the limits. */
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

/** `-p 8080`, `-p 80:80`: shown, since no password policy has been that weak for long. */
function restoreHarmless(args: readonly string[], clean: string[]): string[] {
  for (let i = 1; i < clean.length; i += 1) {
    const value = args[i] ?? '';
    if (args[i - 1] === '-p' && clean[i] === REDACTED && HARMLESS_P.test(value)) clean[i] = value;
  }
  return clean;
}
