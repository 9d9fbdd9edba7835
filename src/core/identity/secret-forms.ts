// SPDX-License-Identifier: Apache-2.0
// The forms of secrets on a command line: words in names, tokens by their form, and options by program. Only data, from the manuals of
// the programs and the vendors' documentation of their tokens. redact.ts applies it.

/** Words that mark a name as that of a secret, between separators: `db-password`, `GITHUB_TOKEN`, `X-Api-Key`; not `author`. */
export const SECRET_WORDS =
  'pass(?:word|wd|phrase|code|in|out)?|pwd?|pw|pin|secret|token|bearer|api[-_.]?key|access[-_.]?key|secret[-_.]?key|private[-_.]?key|account[-_.]?key|encryption[-_.]?key|auth[-_.]?key|credentials?|auth(?:orization)?|cookie|session[-_.]?id|signature|sig|dsn';
/** Words that also do so at the end of a name without a separator: `keyStorePassword`, `requirepass`, `SharedAccessKey`. */
export const SECRET_ENDINGS =
  'password|passwd|passphrase|pass|masterauth|secret|token|apikey|accesskey|secretkey|privatekey|accountkey';
/** Words without a dash that a secret follows: `nmcli … password x`, `aws configure set aws_secret_access_key x`. */
export const SECRET_BARE_WORD =
  /^(?:password|passwd|passphrase|(?:add-)?authtoken|\w{1,40}_(?:password|passwd|secret|token|key)(?:_\w{1,40})?|\S{0,80}[:_]authtoken)$/i;
/** Programs whose arguments may be such a word without a secret after it. */
export const SEARCHERS: ReadonlySet<string> = new Set('grep egrep fgrep zgrep rg ag ack find sed awk man'.split(' '));

export interface TextForm {
  readonly pattern: RegExp;
  /** The replacement; `*` becomes `[REDACTED]`. */
  readonly shown: string;
}

/** Secrets that are recognized by their form, in any text. Applied in this order, before MARKED_FORMS. */
export const TOKEN_FORMS: readonly TextForm[] = [
  // JSON web tokens.
  { pattern: /\beyJ[\w-]{5,}\.[\w-]+\.?[\w-]*/g, shown: '*' },
  // GitHub, GitLab, Slack, Stripe, OpenAI, Anthropic, npm, PyPI, Docker, Hugging Face, DigitalOcean, Grafana, Shopify, Linear, Square, …
  {
    pattern:
      /\b(?:gh[pousr]|github_pat|gl(?:pat|rt|dt|cbt|soat)|xox[abeprs]|xapp|[sr]k|[sr]k_live|pk_live|whsec|npm|pypi|dckr_pat|hf|do[por]_v1|gls?[ac]|glc|shp(?:at|ca|pa|ss)|lin_api|sq0[a-z]{3}|nrak|pmak|tskey)[-_.][\w.-]{10,}/gi,
    shown: '*',
  },
  // HashiCorp Vault and Terraform Cloud.
  { pattern: /\b(?:hv[sbr]|s)\.[\w-]{20,}|\b\w{14}\.atlasv1\.[\w-]{40,}/g, shown: '*' },
  // AWS, Google, SendGrid, Databricks, Telegram, age.
  {
    pattern:
      /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[\w-]{35}|\bya29\.[\w-]{10,}|\bSG\.[\w-]{10,}\.[\w-]{10,}|\bdapi[0-9a-f]{32}\b|\b(?:bot)?\d{8,10}:AA[\w-]{20,}|\bAGE-SECRET-KEY-1[0-9A-Z]{40,}/g,
    shown: '*',
  },
  // URLs whose path is the secret: webhooks, bots, stream keys.
  {
    pattern:
      /(hooks\.slack\.com\/(?:services|workflows)\/|discord(?:app)?\.com\/api\/webhooks\/|api\.telegram\.org\/bot|rtmps?:\/\/[^\s/]{1,128}\/[^\s/]{1,128}\/)[^\s"']+/gi,
    shown: '$1*',
  },
];
/** The shortest of them: `eyJhbGci.e`. */
export const TOKEN_CHARS_MIN = 10;

/** Each of MARKED_FORMS contains one of these characters. A text without any is not scanned for them. */
export const MARK = /[=:@\s]/;
export const MARKED_FORMS: readonly TextForm[] = [
  { pattern: /-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]*/g, shown: '*' },
  // Up to the end of the line or of the quotes; the scheme is shown.
  { pattern: /\b((?:proxy-)?authorization\s*:\s*)(\w+\s+(?=\S))?[^"'\n]+/gi, shown: '$1$2*' },
  { pattern: /\b((?:set-)?cookie\s*:\s*)[^"'\n]+/gi, shown: '$1*' },
  { pattern: /\b((?:bearer|basic|digest|negotiate)\s+)[\w.~+/=-]{6,}/gi, shown: '$1*' },
  { pattern: /([a-z][a-z0-9+.-]{0,20}:\/\/[^\s/@:?#]*:)[^\s/@]*@/gi, shown: '$1*@' },
  { pattern: /([a-z][a-z0-9+.-]{0,20}:\/\/)[^\s/@:?#]*@/gi, shown: '$1*@' },
  // `user:password@host` without a scheme; not `image:tag@sha256`.
  { pattern: /(^|\s)([\w.-]{1,64}:)[^\s@/:]{3,128}@(?!sha256)(?=[\w.-])/g, shown: '$1$2*@' },
  // SQL: `PASSWORD 'x'`, `IDENTIFIED BY 'x'`.
  { pattern: /\b((?:password|passwd|passphrase|identified\s+by)\s+)(?:'[^']*'?|"[^"]*"?)/gi, shown: '$1*' },
];

/** The arguments of a program that are secrets by position, without a name. */
export interface ProgramForms {
  /** Letters of options whose secret is attached (`-psecret`), or is the next argument (`-a secret`). */
  readonly attached?: string;
  readonly next?: string;
  /** Words after which the next argument is a secret. */
  readonly words?: readonly string[];
  /** In an argument that matches, everything except the first group is a secret. */
  readonly pattern?: RegExp;
  /** From `places` after a matching word on, every argument that is not an option is a secret. */
  readonly after?: { readonly word: RegExp; readonly places: number };
  /** The name is an ordinary word: it is a program only in command position. */
  readonly ordinary?: true;
}

const all = (names: string, forms: ProgramForms): [string, ProgramForms][] =>
  names.split(' ').map((name) => [name, forms]);

/** By the file name of the program. */
export const PROGRAMS: ReadonlyMap<string, ProgramForms> = new Map<string, ProgramForms>([
  ...all('mysql mysqldump mysqladmin mysqlimport mariadb mariadb-dump mariadb-admin', { attached: 'p' }),
  ...all('7z 7za 7zr rar unrar', { attached: 'p', pattern: /^(-hp)./ }),
  ...all('zip unzip', { attached: 'P', next: 'P' }),
  ...all('snmpget snmpwalk snmpbulkwalk snmpset snmptrap', { next: 'cAX' }),
  ...all('sqlplus sqlldr expdp impdp', { pattern: /^((?:userid=)?[^/@\s=-]+\/)[^@\s]+/i }),
  ...all('xfreerdp xfreerdp3 wlfreerdp', { pattern: /^(\/(?:p|gp|password):)[\s\S]+/ }),
  ...all('ldapsearch ldapmodify ldapadd ldapdelete ldappasswd', { attached: 'w', next: 'w' }),
  ...all('sqlcmd bcp tsql bsqldb', { attached: 'P', next: 'P' }),
  ...all('smbclient rpcclient', { attached: 'U', next: 'U' }),
  ...all('mongosh mongo mongodump mongorestore', { next: 'p' }),
  ...all('redis-cli valkey-cli', { next: 'a' }),
  ...all('mosquitto_pub mosquitto_sub ipmitool', { next: 'P' }),
  ...all('http https', { next: 'a', ordinary: true }),
  ...all('dig nsupdate', { next: 'y' }),
  ...all('plink pscp psftp', { words: ['-pw'] }),
  ['net', { attached: 'U', next: 'U', ordinary: true }],
  ['ab', { attached: 'AP', next: 'AP', ordinary: true }],
  ['sshpass', { attached: 'p', next: 'p' }],
  ['curl', { attached: 'uUb', next: 'uUb' }],
  ['lftp', { next: 'u' }],
  ['influx', { next: 't' }],
  ['openssl', { next: 'kK' }],
  ['nmcli', { words: ['wifi-sec.psk'] }],
  ['htpasswd', { after: { word: /^-[A-Za-z]*n?[A-Za-z]*b/, places: 1 } }],
  ['mkpasswd', { after: { word: /mkpasswd$/, places: 1 } }],
  ['wpa_passphrase', { after: { word: /wpa_passphrase$/, places: 2 } }],
  ['rabbitmqctl', { after: { word: /^(?:add_user|change_password|authenticate_user)$/, places: 2 } }],
  ['iwconfig', { after: { word: /^key$/, places: 1 } }],
]);

/** Programs that start another program, whose options follow. */
export const WRAPPERS: ReadonlySet<string> = new Set(
  'sudo doas env exec nice ionice nohup time timeout setsid stdbuf chroot strace xargs command'.split(' '),
);

/** Programs whose `-p` is not a password but a path, a package, a pid, a plugin. */
export const HARMLESS_P: ReadonlySet<string> = new Set(
  'mkdir cp install touch tar rsync ps pgrep pkill lsof strace gdb perf patch read cargo pytest make ssh mount renice taskset'.split(
    ' ',
  ),
);
