// SPDX-License-Identifier: Apache-2.0
// The name that people use for a process, from its comm, its executable and its arguments: one function, so that headline, evidence,
// ancestors, summaries and roles agree. The executable is a fact of the kernel. Comm and arguments are what the process was started
// with or chose later, so they name only what the executable can run: the script of an interpreter, the applet of busybox, a known
// alias. interpreters.ts and aliases.ts have the data.
import { cutText, REDACTED, redactArguments } from '../identity/redact.ts';
import { Memo, textKey } from '../memo.ts';
import { quotedName } from '../words/quoted.ts';
import { visible } from '../words/visible.ts';
import { ALIASES, APPLETS, COMMON_NAMES, NATIVE, TITLED } from './aliases.ts';
import { COMMANDS, INTERPRETERS, type Interpreter, JAVA, SHELL_SCRIPT, SHELLS } from './interpreters.ts';

const NAME_CHARS_MAX = 64;
/** TASK_COMM_LEN without its NUL. */
const COMM_BYTES_MAX = 15;
/** Words of a title that are searched for a script. */
const TITLE_WORDS_MAX = 16;

/** What is known of a process. Without an executable, everything is the word of the process. */
export interface ProgramFacts {
  readonly comm: string;
  readonly exe?: string | null;
  readonly args?: readonly string[] | null;
}

export interface Program {
  /** The name that people use: at most 64 characters, none of which controls a terminal. */
  readonly name: string;
  /** The file name of the executable. null: not known. */
  readonly file: string | null;
  /** The script, module or application that an interpreter runs, or the name in its title. null: none, or not known. */
  readonly script: string | null;
  /** The arguments were overwritten by a title (setproctitle(3)). */
  readonly hasTitle: boolean;
}

/** Programs that are remembered. */
const REMEMBERED_MAX = 256;
const remembered = new Memo<Program>(REMEMBERED_MAX);

export function programOf(facts: ProgramFacts): Program {
  const { comm, exe = null, args = null } = facts;
  return remembered.of(textKey([comm, exe ?? '', ...(args ?? [])]), () => read(facts));
}

function read(facts: ProgramFacts): Program {
  const file = fileName(facts.exe ?? null);
  const args = facts.args == null || facts.args.length === 0 ? null : facts.args;
  if (file === null) {
    const name = nameOfComm(facts.comm);
    return { name: shownName(name), file, script: null, hasTitle: false };
  }
  const interpreter = interpreterOf(file);
  const title = args === null ? null : titleIn(args, file, interpreter);
  const found = interpreter !== null && native(scriptOf(interpreter, file, facts.comm, args, title));
  if (found) return { name: shownName(found.name), file, script: shownName(found.script), hasTitle: title !== null };
  const applet = APPLETS.has(file) ? appletOf(file, facts.comm, args) : null;
  const name = applet?.name ?? invokedAs(file, facts.comm, args);
  return { name: shownName(name), file, script: applet?.script ?? null, hasTitle: title !== null };
}

/** The name that people use. */
export function displayName(facts: ProgramFacts): string {
  return programOf(facts).name;
}

/** null: the path is not known, or has no file name. */
export function fileName(exe: string | null): string | null {
  return exe === null ? null : baseName(exe.replace(/ \(deleted\)$/, '')) || null;
}

interface Found {
  readonly name: string;
  readonly script: string;
}

/** A script can have any name: none is taken for that of a system program, which no interpreter runs. */
function native(found: Found | null): Found | null {
  return found !== null && NATIVE.has(found.script.toLowerCase()) ? null : found;
}

function interpreterOf(file: string): Interpreter | null {
  return ANY_INTERPRETER.test(file) ? (INTERPRETERS.find(({ names }) => names.test(file)) ?? null) : null;
}

const ANY_INTERPRETER = new RegExp(INTERPRETERS.map(({ names }) => names.source).join('|'));

/**
 * The text that the process put in place of its arguments. null: they are arguments. A title is one text, and nothing follows it. For an
 * interpreter, any text is one that is no name of the interpreter.
 */
function titleIn(args: readonly string[], file: string, interpreter: Interpreter | null): string | null {
  const [text = '', ...rest] = args;
  if (text === '' || rest.some((word) => word !== '')) return null;
  const base = baseName(text);
  if (base === file || base === `-${file}`) return null;
  if (/\s/.test(text)) return text;
  return interpreter === null || interpreter.names.test(base.replace(/^-/, '')) ? null : text;
}

function scriptOf(
  interpreter: Interpreter,
  file: string,
  comm: string,
  args: readonly string[] | null,
  title: string | null,
): Found | null {
  if (title !== null) return fromTitle(interpreter, file, comm, title);
  // The arguments of an ancestor are those of its start. It may have had a title since.
  const titled = TITLED.test(comm) ? nameOfTitle(comm) : null;
  if (titled !== null && !isNameOf(interpreter, titled)) return named(titled);
  // The kernel names a process that is started by the first line of its script after the script.
  if (args === null) return isNameOf(interpreter, comm) ? null : named(nameOfComm(comm));
  return fromArguments(interpreter, file, comm, args);
}

/** `gunicorn: worker [app]`, `puma 6.4.0 (tcp://…)`; also a command line with something after it. */
function fromTitle(interpreter: Interpreter, file: string, comm: string, title: string): Found | null {
  const words = title.split(/\s+/, TITLE_WORDS_MAX);
  const [first = '', second = ''] = words;
  if (!interpreter.names.test(baseName(first))) return named(nameOfTitle(title.replace(/^\S*\//, '')));
  return second.includes('/') ? fromArguments(interpreter, file, comm, words) : null;
}

function fromArguments(interpreter: Interpreter, file: string, comm: string, args: readonly string[]): Found | null {
  const at = scriptAt(interpreter, args);
  if (at === null) return null;
  const word = args[at] ?? '';
  if (isSecret(args, at)) return null;
  const base = interpreter === JAVA && args[at - 1] !== '-jar' ? word : baseName(word);
  if (base === '') return null;
  const invoked = baseName(args[0] ?? '').replace(/^-/, '');
  const prefix = interpreter.names.test(invoked) ? invoked : file;
  if (interpreter === JAVA) return { name: `${prefix} ${args[at - 1] === '-jar' ? '-jar ' : ''}${base}`, script: base };
  if (interpreter.module?.test(args[at - 1] ?? '') === true)
    return { name: COMMANDS.has(base) ? base : `${prefix} -m ${base}`, script: base };
  const speaks = !base.includes('.') || SHELL_SCRIPT.test(base) || comm === ofComm(base) || interpreter.wraps === true;
  return { name: speaks ? plain(base) : `${prefix} ${base}`, script: plain(base) };
}

/** An option that is not known may be followed by a secret. Redaction is slow, so the usual path of a script is not asked about. */
function isSecret(args: readonly string[], at: number): boolean {
  if (at === 1 && ORDINARY_PATH.test(args[at] ?? '')) return false;
  const words = args.slice(0, at + 1).map((word) => word.slice(0, SCANNED_CHARS_MAX));
  return redactArguments(words).some((shown) => shown.includes(REDACTED));
}

/** No token is as short as such a file name (core/identity/secret-forms.ts). */
const ORDINARY_PATH = /^(?:[\w.+-]{0,32}\/){1,16}[\w.+-]{1,15}$/;
const SCANNED_CHARS_MAX = 256;

/** The position of the script or module among the arguments. null: there is none: code on the command line, or standard input. */
function scriptAt(interpreter: Interpreter, args: readonly string[]): number | null {
  for (let at = 1; at < args.length; at++) {
    const word = args[at] ?? '';
    switch (kindOf(word, interpreter)) {
      case 'value':
        at += 1;
        break;
      case 'before':
        return at + 1 < args.length ? at + 1 : null;
      case 'script':
        return at;
      case 'none':
        return null;
      case 'flag':
    }
  }
  return null;
}

/** A script that was passed in a descriptor, as by `bash <(…)`, has no name. */
const DESCRIPTOR = /^\/(?:dev\/(?:fd\/\d+|stdin)|proc\/\w+\/fd\/\d+)$/;

/** `value`: an option whose value follows; `before`: the script follows; `none`: there is no script. */
function kindOf(word: string, interpreter: Interpreter): 'value' | 'before' | 'script' | 'none' | 'flag' {
  const { named, module, inline, values, verbs } = interpreter;
  if (verbs?.has(word)) return 'flag';
  if (word === '--' || named?.has(word) || module?.test(word)) return 'before';
  if (word === '' || word === '-' || inline.test(word) || DESCRIPTOR.test(word)) return 'none';
  if (values.test(word)) return 'value';
  return /^[-+]/.test(word) ? 'flag' : 'script';
}

/** `busybox timeout`; the script, if the applet is a shell. */
function appletOf(file: string, comm: string, args: readonly string[] | null): { name: string; script: string | null } {
  const words = args !== null && baseName(args[0] ?? '') === file ? args.slice(1) : args;
  const applet = baseName(words?.[0] ?? comm).replace(/^-/, '');
  if (!/^[a-z0-9[][\w.[-]{0,20}$/i.test(applet) || applet === file) return { name: file, script: null };
  const found = words !== null && SHELLS.names.test(applet) ? native(fromArguments(SHELLS, file, comm, words)) : null;
  return found === null ? { name: `${file} ${applet}`, script: applet } : { name: found.name, script: found.script };
}

/** The name by which the file was executed, if it is a known alias of it, or the file's name without a version or a variant. */
function invokedAs(file: string, comm: string, args: readonly string[] | null): string {
  if (comm === file) return plain(file);
  const argument = baseName(args?.[0] ?? '').replace(/^-/, '');
  for (const name of [comm, argument]) {
    const isAlias = ALIASES.some(({ files, names }) => files.test(file) && names.test(name));
    if (isAlias || isShorter(name, file)) return plain(name);
  }
  return plain(file);
}

/** `python3` of `python3.11`, `vim` of `vim.basic`, `uwsgi` of `uwsgi-core`. */
function isShorter(name: string, file: string): boolean {
  return name.length > 1 && file.startsWith(name) && /^[\d.-]/.test(file.slice(name.length));
}

/** A comm alone: the name of a program, cut, or the beginning of a title. */
function nameOfComm(comm: string): string {
  const text = comm.trim();
  return (TITLED.test(text) ? nameOfTitle(text) : null) ?? plain(text);
}

/** The program that a title names: the first word, without decoration and version. null: no word. */
function nameOfTitle(title: string): string | null {
  const [, word] = /^(?:\[\w+\]\s+)?[[(]?([\p{L}\d_][\p{L}\p{N}_.+-]*)/u.exec(title.trim()) ?? [];
  return word === undefined ? null : plain(word.replace(/-\d[\d.]*$/, ''));
}

function named(name: string | null): Found | null {
  return name === null || name === '' ? null : { name, script: name };
}

function isNameOf({ names }: Interpreter, comm: string): boolean {
  return names.test(comm) || COMMON_NAMES.has(comm);
}

function plain(name: string): string {
  return COMMON_NAMES.get(name) ?? (/^php-fpm\d/.test(name) ? 'php-fpm' : name);
}

function ofComm(name: string): string {
  return Buffer.from(name).subarray(0, COMM_BYTES_MAX).toString();
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/**
 * Of a hostile name, too: no control characters, no other direction of writing, not long. In quotes if it could be read as a part of the
 * sentence: `web (pid 1) was killed by root; x`.
 */
export function shownName(name: string): string {
  const shown = visible(cutText(name.toWellFormed(), NAME_CHARS_MAX));
  return quotedName(shown);
}
