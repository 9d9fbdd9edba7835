// SPDX-License-Identifier: Apache-2.0
// Interpreters, and where on their command line the script is: only data, from the manuals of the programs. program.ts applies it.

export interface Interpreter {
  /** File names of the executable, and names by which it is called. */
  readonly names: RegExp;
  /** Options whose value is the next argument. */
  readonly values: RegExp;
  /** Options after which there is no script: code on the command line, or standard input. */
  readonly inline: RegExp;
  /** Options whose value is the name of a module. */
  readonly module?: RegExp;
  /** Options whose value is the script. */
  readonly named?: ReadonlySet<string>;
  /** Words before the script. */
  readonly verbs?: ReadonlySet<string>;
  /** It runs any program, which keeps its name: an emulator, the dynamic loader. */
  readonly wraps?: true;
}

const NONE = /^\b$/;
const set = (words: string): ReadonlySet<string> => new Set(words.split(' '));

export const SHELLS: Interpreter = {
  names: /^-?(?:sh|bash|rbash|dash|ash|zsh|ksh|ksh93|mksh|lksh|pdksh|yash|fish|csh|tcsh)$/,
  values: /^(?:[-+][A-Za-z]*[oO]|--rcfile|--init-file|--init-command)$/,
  inline: /^(?:-[a-zA-Z]*[cs][a-zA-Z]*|--command)$/,
};

export const JAVA: Interpreter = {
  names: /^(?:java|javaw)$/,
  values:
    /^(?:-cp|-classpath|--class-path|-p|--module-path|--upgrade-module-path|--add-modules|--add-exports|--add-opens|--add-reads|--limit-modules|--patch-module|--enable-native-access)$/,
  inline: /^@/,
  named: set('-jar -m --module'),
};

/** The first that matches a file name counts. */
export const INTERPRETERS: readonly Interpreter[] = [
  SHELLS,
  JAVA,
  {
    names: /^(?:python[\d.]*t?|pypy[\d.]*)$/,
    values: /^(?:-[bBdEhiIOPqsSuvVx]*[WX]|--check-hash-based-pycs)$/,
    inline: /^-[bBdEhiIOPqsSuvVx]*c/,
    module: /^-[bBdEhiIOPqsSuvVx]*m$/,
  },
  {
    names: /^(?:node(?:js)?[\d.-]*)$/,
    values:
      /^(?:-r|-C|--require|--import|--loader|--experimental-loader|--conditions|--env-file|--env-file-if-exists|--watch-path|--title|--input-type|--icu-data-dir|--openssl-config|--redirect-warnings|--trace-event-categories|--max-http-header-size|--diagnostic-dir|--dns-result-order|--unhandled-rejections|--cpu-prof-dir|--heap-prof-dir|--inspect-port|--debug-port|--stack-trace-limit|--test-name-pattern|--test-reporter|--test-reporter-destination|--test-concurrency|--test-timeout|--disable-warning|--localstorage-file|--allow-fs-read|--allow-fs-write)$/,
    inline: /^(?:-e|-p|-pe|-i|--eval|--print|--run|--interactive)$/,
    verbs: set('inspect'),
  },
  {
    names: /^(?:ruby[\d.]*|jruby|truffleruby)$/,
    values: /^-[IrCEX]$/,
    inline: /^-[alnpsSwWvc\d]*e/,
  },
  { names: /^perl[\d.]*$/, values: /^-I$/, inline: /^-[alnpsStTuUvwWXc\d]*[eE]/ },
  {
    names: /^php[\d.]*$/,
    values: /^-[dcz]$/,
    inline: /^(?:-[raS]|--run|--interactive)$/,
    named: set('-f --file'),
  },
  {
    names: /^(?:deno|bun)$/,
    values: /^(?:-c|--config|--cwd|--env-file|-r|--preload)$/,
    inline: /^(?:-e|-p|--eval|eval|repl|x|install|test)$/,
    verbs: set('run serve'),
  },
  {
    names: /^dotnet$/,
    values: /^(?:--depsfile|--runtimeconfig|--fx-version|--additionalprobingpath|--roll-forward)$/,
    inline: /^(?:run|build|test|publish|restore|tool|new|watch)$/,
    verbs: set('exec'),
  },
  { names: /^lua(?:jit)?[\d.-]*$/, values: /^-[lW]$/, inline: /^-[ei]/ },
  { names: /^Rscript$/, values: NONE, inline: /^-e$/ },
  { names: /^(?:tclsh|wish|expect)[\d.]*$/, values: NONE, inline: /^-c$/, named: set('-f') },
  { names: /^(?:pwsh|mono)$/, values: NONE, inline: /^-(?:c|command|Command)$/, named: set('-File -file -f') },
  {
    names: /^(?:ld-linux[\w-]*\.so\.\d|ld-musl-\w+\.so\.1|ld-[\d.]+\.so)$/,
    values: /^--(?:library-path|inhibit-rpath|audit|preload|argv0|glibc-hwcaps-prepend|glibc-hwcaps-mask)$/,
    inline: /^--(?:list|verify|help|version)$/,
    wraps: true,
  },
  {
    names: /^qemu-(?!system)\w+(?:-static)?$/,
    values: /^-(?:L|E|U|g|s|cpu|0|r|B|R|d|D|p|singlestep|seed|plugin)$/,
    inline: /^-(?:h|help|version)$/,
    wraps: true,
  },
];

/** Python modules that are commands, too: `python3 -m gunicorn` is gunicorn. */
export const COMMANDS: ReadonlySet<string> = set(
  'gunicorn celery uvicorn hypercorn daphne waitress granian flask pytest pip ansible airflow rq huey dramatiq jupyter streamlit tox nox poetry supervisord',
);

/** Names of scripts that say what runs them. */
export const SHELL_SCRIPT = /\.(?:sh|bash|zsh|ksh|fish)$/;
