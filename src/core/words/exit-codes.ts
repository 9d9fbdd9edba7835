// SPDX-License-Identifier: Apache-2.0
// The meanings of exit codes by program: only data, each table with its source. A meaning is a clause that fits into a sentence. explain.ts
// chooses the table for a program. docs/exit-codes.md is generated from this file (`npm run generate:exit-codes`).

export interface ExitCodeTable {
  readonly title: string;
  /** Globs on the name of the executable, or of the script that an interpreter runs. Empty: the name does not identify such a program; the table is found by `aliases` alone. */
  readonly executables: readonly string[];
  /** Other names that `whodunit explain --executable NAME` accepts. */
  readonly aliases?: readonly string[];
  /** A convention, for programs without a table of their own, or whose table does not have the code. */
  readonly convention?: true;
  /** Programs with this runtime, whatever their name. */
  readonly runtime?: 'go';
  /** What every other code means. */
  readonly otherwise?: string;
  readonly source: string;
  readonly codes: Readonly<Record<number, string>>;
}

/** Code 0 has no meaning of its own in any program. */
export const SUCCESS =
  '0: success. It has a record only if another process had asked it to stop (whodunit.cause: graceful_stop).';

/** Shells return 128 + n if signal n terminated their child. Programs that handle a signal to clean up often do the same. */
export const SIGNAL_BASE = 128;
export const SIGNAL_BASE_SOURCE = 'POSIX.1-2024, Shell Command Language, 2.8.2 Exit Status for Commands';

export const EXIT_CODES: readonly ExitCodeTable[] = [
  {
    title: 'Shells',
    executables: ['sh', 'bash', 'dash', 'ash', 'busybox', 'zsh', 'ksh', 'mksh', 'fish'],
    source: 'bash(1), EXIT STATUS; POSIX.1-2024, Shell Command Language, 2.8.2',
    codes: {
      1: 'its last command failed, or a condition was false',
      2: 'wrong use of the shell (a syntax error, a builtin with wrong arguments), or its last command exited with 2',
      126: 'the command was found but could not be run: not executable, or a directory',
      127: 'the command was not found',
      128: 'its last command exited with 128, or exit was called with an argument that is not a number',
    },
  },
  {
    title: 'Programs that start others',
    executables: ['env', 'nice', 'nohup', 'setsid', 'stdbuf', 'chroot', 'su'],
    source: 'GNU coreutils manual, Exit status',
    codes: {
      125: 'the starting program itself failed',
      126: 'the command was found but could not be run',
      127: 'the command was not found',
    },
  },
  {
    title: 'timeout',
    executables: ['timeout', 'gtimeout'],
    source: 'timeout(1), EXIT STATUS',
    codes: {
      124: 'the time limit was reached',
      125: 'timeout itself failed',
      126: 'the command was found but could not be run',
      127: 'the command was not found',
      137: 'the time limit was reached, and SIGKILL was sent, or the command was killed by it',
    },
  },
  {
    title: 'xargs',
    executables: ['xargs'],
    source: 'xargs(1), EXIT STATUS',
    codes: {
      1: 'an error of xargs itself',
      123: 'a command exited with a code from 1 to 125',
      124: 'a command exited with 255',
      125: 'a command was killed by a signal',
      126: 'the command could not be run',
      127: 'the command was not found',
    },
  },
  {
    title: 'systemd, before it could start the program',
    executables: ['systemd', 'systemd-executor'],
    source: 'systemd.exec(5), PROCESS EXIT CODES',
    codes: {
      200: 'the working directory could not be entered (WorkingDirectory=)',
      201: 'the nice level could not be set (Nice=)',
      202: 'file descriptors could not be closed or passed',
      203: 'the program could not be executed: missing, not executable, or a wrong interpreter (ExecStart=)',
      204: 'there was not enough memory',
      205: 'a resource limit could not be set (LimitCPU= and the like)',
      206: 'the OOM score could not be set (OOMScoreAdjust=)',
      207: 'the signal mask could not be set',
      208: 'standard input could not be set up (StandardInput=)',
      209: 'standard output could not be set up (StandardOutput=)',
      210: 'the root directory could not be changed (RootDirectory=)',
      211: 'the I/O priority could not be set (IOSchedulingClass=)',
      212: 'the timer slack could not be set (TimerSlackNSec=)',
      213: 'the secure bits could not be set (SecureBits=)',
      214: 'the CPU scheduling could not be set (CPUSchedulingPolicy=)',
      215: 'the CPU affinity could not be set (CPUAffinity=)',
      216: 'the group does not exist, or the process could not switch to it (Group=)',
      217: 'the user does not exist, or the process could not switch to it, or its namespace could not be created (User=)',
      218: 'capabilities could not be dropped or granted (CapabilityBoundingSet=)',
      219: 'the cgroup could not be set up',
      220: 'a new session could not be created',
      221: 'the start was not confirmed on the console',
      222: 'standard error could not be set up (StandardError=)',
      224: 'the PAM session could not be opened (PAMName=)',
      225: 'the network namespace could not be created (PrivateNetwork=)',
      226: 'the mount namespace could not be created: a path of ReadOnlyPaths=, PrivateTmp= or the like is missing',
      227: 'new privileges could not be disabled (NoNewPrivileges=)',
      228: 'the system call filter could not be set (SystemCallFilter=)',
      229: 'the SELinux context could not be found or set (SELinuxContext=)',
      230: 'the execution domain could not be set (Personality=)',
      231: 'the AppArmor profile could not be set (AppArmorProfile=)',
      232: 'the address families could not be restricted (RestrictAddressFamilies=)',
      233: 'the runtime directory could not be created (RuntimeDirectory=)',
      235: 'the owner of a socket could not be changed',
      236: 'the SMACK label could not be set (SmackProcessLabel=)',
      237: 'the kernel keyring could not be set up',
      238: 'the state directory could not be created (StateDirectory=)',
      239: 'the cache directory could not be created (CacheDirectory=)',
      240: 'the logs directory could not be created (LogsDirectory=)',
      241: 'the configuration directory could not be created (ConfigurationDirectory=)',
      242: 'the NUMA policy could not be set (NUMAPolicy=)',
      243: 'the credentials could not be set up (LoadCredential=)',
      245: 'the BPF programs could not be set up (RestrictFileSystems= and the like)',
    },
  },
  {
    title: 'Docker and Podman',
    executables: ['docker', 'podman', 'nerdctl'],
    aliases: ['runc', 'container'],
    source: 'Docker documentation, docker container run, Exit status; podman-run(1), Exit Status',
    codes: {
      125: 'the container engine itself failed, for instance on a wrong option',
      126: 'the command in the container could not be invoked',
      127: 'the command was not found in the container',
    },
  },
  {
    title: 'Node.js',
    executables: ['node', 'nodejs'],
    // Without 3, 4, 5, 6, 10 and 14, which only the development of Node.js itself sees: programs choose these.
    source: 'Node.js documentation, Process, Exit codes',
    codes: {
      1: 'an uncaught exception, or process.exit with code 1',
      7: 'the program chose it (process.exit), or its handler of uncaught exceptions threw an exception itself',
      9: 'the program chose it (process.exit), or an option of the node command is unknown, or its value is missing',
      12: 'the program chose it (process.exit), or the port of --inspect is invalid or in use',
      13: 'the program chose it (process.exit), or a top-level await never settled: it waits for a promise that nothing can resolve',
    },
  },
  {
    title: 'npm and its relatives',
    executables: ['npm', 'npx', 'yarn', 'pnpm', 'corepack'],
    source: 'npm documentation, npm-run-script; @npmcli/run-script',
    codes: { 1: 'npm itself failed, or the script that it ran exited with 1' },
    otherwise: 'the exit code of the script or command that it ran',
  },
  {
    title: 'gunicorn',
    executables: ['gunicorn'],
    source: 'gunicorn source, gunicorn/arbiter.py and gunicorn/workers/base.py',
    codes: {
      1: 'the configuration is wrong, an address could not be bound, or a worker was stopped',
      3: 'a worker could not start: the application raised an exception',
      4: 'the application could not be loaded',
    },
  },
  {
    title: 'uWSGI',
    executables: ['uwsgi', 'uwsgi-core'],
    source: 'uWSGI source, uwsgi.h (UWSGI_*_CODE)',
    codes: {
      1: 'the configuration is wrong, an address could not be bound, or it failed to start',
      5: 'an exception, with reload-on-exception',
      15: 'a worker was stopped because there was too little to do (cheaper)',
      17: 'a worker ended to be started again (reload)',
      22: 'the application could not be loaded, with need-app',
      30: 'a worker ended because the server stops',
      31: 'a worker was reloaded without mercy',
    },
  },
  {
    title: 'Python',
    executables: ['python', 'python2*', 'python3*', 'pypy*'],
    source: 'Python documentation: sys.exit, and Command line and environment; Py_FinalizeEx for 120',
    codes: {
      1: 'an uncaught exception, or sys.exit with a message or 1',
      2: 'the command line was wrong: an option of python or of the program (argparse), a script that cannot be opened, or sys.exit(2)',
      120: 'the standard streams could not be flushed at exit',
    },
  },
  {
    title: 'PHP',
    executables: ['php', 'php5*', 'php7*', 'php8*'],
    source: 'PHP manual, exit, and Command line usage',
    codes: {
      1: 'the script could not be opened, or exit(1)',
      255: 'a fatal error: an uncaught exception, the memory limit or a syntax error',
    },
  },
  {
    title: 'Perl',
    executables: ['perl', 'perl5*'],
    source: 'perlfunc(1), die',
    codes: { 255: 'die, if no system call had failed before; otherwise it exits with the number of that error' },
  },
  {
    title: 'Ruby',
    executables: ['ruby', 'ruby2*', 'ruby3*'],
    source: 'Ruby documentation: Kernel#exit, Kernel#abort',
    codes: { 1: 'an uncaught exception, abort, or exit(false)' },
  },
  {
    title: 'Lua',
    executables: ['lua', 'lua5*', 'luajit*'],
    source: 'lua(1)',
    codes: { 1: 'an error that the script did not catch, or os.exit(false)' },
  },
  {
    title: 'Java virtual machine',
    executables: ['java'],
    aliases: ['jvm', 'openjdk'],
    source:
      'JDK: The java Command (-XX:+ExitOnOutOfMemoryError, -XX:+CrashOnOutOfMemoryError); JNI DestroyJavaVM in java.base/share/native/libjli',
    codes: {
      1: 'an uncaught exception in the main thread, or the virtual machine could not start',
      3: 'out of memory, with -XX:+ExitOnOutOfMemoryError, or System.exit(3)',
      130: '128 + 2: an orderly shutdown after SIGINT',
      134: '128 + 6: the virtual machine aborted; see hs_err_pid<pid>.log',
      143: '128 + 15: an orderly shutdown after SIGTERM',
    },
  },
  {
    title: 'Go programs',
    executables: ['go'],
    aliases: ['golang'],
    runtime: 'go',
    source: 'Go: package runtime (panic, fatal error), package flag (ExitOnError), package log (Fatal)',
    codes: {
      1: 'log.Fatal, or os.Exit(1)',
      2: 'an unrecovered panic, a fatal error of the runtime, a wrong flag, or os.Exit(2)',
    },
  },
  {
    title: 'Rust programs',
    executables: ['cargo'],
    aliases: ['rust'],
    source: 'The Rust standard library, std::process, and library/std/src/rt.rs',
    codes: {
      1: 'main returned an error',
      101: 'a panic; with cargo, the command failed',
    },
  },
  {
    title: 'PostgreSQL server',
    executables: ['postgres', 'postmaster'],
    aliases: ['postgresql'],
    source:
      'PostgreSQL source, src/backend/postmaster/postmaster.c (CleanupBackend, process_pm_child_exit), quickdie() in tcop/postgres.c',
    codes: {
      1: 'a FATAL error stopped this server process; the others continue',
      2: 'it exited immediately because another server process crashed, or because of an immediate shutdown',
      3: 'recovery reached its target, and recovery_target_action is shutdown',
    },
  },
  {
    title: 'PostgreSQL client',
    executables: ['psql'],
    source: 'psql(1), Exit Status',
    codes: {
      1: 'a fatal error of its own: out of memory, or a file was not found',
      2: 'the connection to the server failed',
      3: 'an error in a script, with ON_ERROR_STOP set',
    },
  },
  {
    title: 'MySQL and MariaDB server',
    executables: ['mysqld', 'mariadbd'],
    aliases: ['mysql', 'mariadb'],
    source: 'MySQL source, sql/sql_const.h (MYSQLD_*_EXIT); Reference Manual, RESTART Statement',
    codes: {
      1: 'the server could not start, or was shut down with an error: see its error log',
      2: 'the server failed and asks for a restart',
      3: 'InnoDB failed: see the error log',
      16: 'the RESTART statement: the service manager is expected to start it again',
    },
  },
  {
    title: 'nginx',
    executables: ['nginx'],
    source: 'nginx source, src/core/nginx.c and src/os/unix/ngx_process.c (ngx_process_get_status)',
    codes: {
      1: 'the configuration is wrong, or an address could not be bound',
      2: 'a worker had a fatal error, and will not be restarted',
    },
  },
  {
    title: 'Redis and Valkey server',
    executables: ['redis-server', 'valkey-server', 'redis-sentinel'],
    aliases: ['redis', 'valkey'],
    source: 'Redis source, src/server.c, src/config.c, src/rdb.c, src/aof.c (exit(1) after a warning in the log)',
    codes: {
      1: 'the configuration is wrong, an address could not be bound, or the data could not be loaded: see its log',
    },
  },
  {
    title: 'Erlang and Elixir',
    executables: ['beam.smp', 'beam', 'erl', 'erlexec'],
    aliases: ['erlang', 'elixir'],
    source: 'Erlang/OTP documentation: erlang:halt/1, init(3), and "How to Interpret the Erlang Crash Dumps"',
    codes: {
      1: 'the start failed, or the emulator stopped on an error: see erl_crash.dump',
    },
  },
  {
    title: '.NET host',
    executables: ['dotnet'],
    aliases: ['.net', 'csharp'],
    source: 'dotnet/runtime, docs/design/features/host-error-codes.md (the low 8 bits)',
    codes: {
      129: 'an argument of the host is invalid; or 128 + 1, SIGHUP',
      130: 'a component of the host could not be loaded: a library that it needs is missing; or 128 + 2, SIGINT',
      131: 'a component of the host is missing: the installation is incomplete; or 128 + 3, SIGQUIT',
      132: 'a component of the host lacks an entry point; or 128 + 4, SIGILL',
      133: 'the installation directory could not be found; or 128 + 5, SIGTRAP',
      135: 'the coreclr library was not found; or 128 + 7, SIGBUS',
      136: 'the coreclr library could not be loaded; or 128 + 8, SIGFPE',
      137: 'the runtime could not be initialized; or 128 + 9, SIGKILL',
      138: 'the runtime could not run the application; or 128 + 10, SIGUSR1',
      139: 'a .deps.json file is missing or invalid; or 128 + 11, SIGSEGV',
      140: 'a dependency that .deps.json names was not found; or 128 + 12, SIGUSR2',
      142: 'hostpolicy could not be initialized: versions do not match; or 128 + 14, SIGALRM',
      145: 'the requested SDK was not found',
      146: 'arguments to hostpolicy are invalid',
      147: 'the .runtimeconfig.json file is invalid',
      149: 'the host does not know which application to run',
      150: 'the framework that the application needs is not installed',
      154: "the application's file does not exist",
      155: 'the requested SDK was not found',
      156: 'references to a framework conflict',
      159: 'the single-file bundle could not be extracted',
      160: 'reading or writing failed while the bundle was extracted',
    },
  },
  {
    title: 'git',
    executables: ['git', 'git-*'],
    source: 'git source, usage.c (die exits with 128, usage with 129); git-diff(1)',
    codes: {
      1: 'a result, such as a difference or a conflict, or a failure of the subcommand',
      128: 'a fatal error: not a repository, no access, a wrong revision',
      129: 'wrong usage of the subcommand',
    },
  },
  {
    title: 'curl',
    executables: ['curl'],
    source: 'curl(1), EXIT CODES',
    codes: {
      1: 'the protocol is not supported',
      2: 'it could not be initialized',
      3: 'the URL is malformed',
      4: 'a feature is not available in this build',
      5: 'the host name of the proxy could not be resolved',
      6: 'the host name could not be resolved',
      7: 'the connection to the host failed',
      8: 'the response of the server was not understood',
      9: 'access was denied by the FTP server',
      16: 'an error in the HTTP/2 framing',
      18: 'only part of the file was transferred',
      22: 'the server returned a status of 400 or above (--fail)',
      23: 'writing failed: the disk is full, or the reader of the output has closed it',
      25: 'the upload could not start',
      26: 'reading the local file failed',
      27: 'out of memory',
      28: 'the operation timed out',
      33: 'the range could not be served',
      35: 'the TLS handshake failed',
      37: 'a file: URL could not be read',
      43: 'an internal error',
      45: 'the network interface could not be used',
      47: 'too many redirects',
      52: 'the server returned nothing',
      55: 'sending failed',
      56: 'receiving failed',
      58: 'the local certificate is unusable',
      59: 'the TLS cipher could not be used',
      60: "the server's certificate could not be verified",
      61: 'the encoding of the response is not known',
      63: 'the file is larger than allowed',
      67: 'the server did not accept the login',
      77: 'the file of CA certificates could not be read',
      78: 'the resource does not exist',
      79: 'an error in the SSH session',
      90: 'the pinned public key does not match',
      92: 'an error in an HTTP/2 stream',
      95: 'an error in the HTTP/3 layer',
      96: 'the QUIC connection failed',
      97: 'the handshake with the proxy failed',
      98: 'the server requires a client certificate',
    },
  },
  {
    title: 'grep',
    executables: ['grep', 'egrep', 'fgrep', 'zgrep', 'rg'],
    source: 'grep(1), EXIT STATUS; ripgrep rg(1), EXIT STATUS',
    codes: {
      1: 'no line matched: a result, not a failure',
      2: 'an error: a file cannot be read, or the pattern is wrong',
    },
  },
  {
    title: 'diff and cmp',
    executables: ['diff', 'diff3', 'sdiff', 'cmp', 'zdiff'],
    source: 'diff(1), cmp(1), EXIT STATUS',
    codes: { 1: 'the files differ: a result, not a failure', 2: 'an error: a file cannot be read' },
  },
  {
    title: 'test and expr',
    executables: ['test', '[', 'expr'],
    source: 'test(1), expr(1), EXIT STATUS',
    codes: {
      1: 'the condition is false: a result, not a failure',
      2: 'the expression is invalid',
      3: 'an error of expr',
    },
  },
  {
    title: 'make',
    executables: ['make', 'gmake'],
    source: 'GNU make manual, Running make',
    codes: {
      1: 'with -q, a target is not up to date: a result, not a failure',
      2: 'an error, usually a failed recipe',
    },
  },
  {
    title: 'ssh',
    executables: ['ssh', 'scp', 'sftp'],
    source: 'ssh(1), EXIT STATUS',
    codes: { 255: 'the connection itself failed; any other code is that of the remote command' },
  },
  {
    title: 'pytest',
    executables: ['pytest', 'py.test'],
    source: 'pytest documentation, Exit codes',
    codes: {
      1: 'tests failed',
      2: 'the run was interrupted by the user',
      3: 'an internal error of pytest',
      4: 'wrong usage',
      5: 'no tests were found',
    },
  },
  {
    title: 'Convention: a command that cannot be started',
    executables: [],
    convention: true,
    source:
      'POSIX.1-2024, Shell Command Language, 2.8.2; glibc elf/dl-minimal.c and dl-error (the dynamic loader exits with 127)',
    codes: {
      126: 'by convention, a command that was found but could not be run',
      127: 'by convention, a command that was not found; the dynamic loader exits with it, too, if a shared library is missing',
    },
  },
  {
    title: 'Convention: Rust',
    executables: [],
    convention: true,
    source: 'The Rust standard library, library/std/src/rt.rs',
    codes: { 101: 'a panic, if the program is written in Rust' },
  },
  {
    title: 'Convention: sysexits.h',
    executables: [],
    aliases: ['sysexits'],
    convention: true,
    source: 'sysexits.h(3head), BSD and glibc',
    codes: {
      64: 'by the convention of sysexits.h, wrong usage of the command (EX_USAGE)',
      65: 'by the convention of sysexits.h, the input data is wrong (EX_DATAERR)',
      66: 'by the convention of sysexits.h, an input file cannot be read (EX_NOINPUT)',
      67: 'by the convention of sysexits.h, a user does not exist (EX_NOUSER)',
      68: 'by the convention of sysexits.h, a host does not exist (EX_NOHOST)',
      69: 'by the convention of sysexits.h, a service is not available (EX_UNAVAILABLE)',
      70: 'by the convention of sysexits.h, an internal error (EX_SOFTWARE)',
      71: 'by the convention of sysexits.h, an error of the operating system (EX_OSERR)',
      72: 'by the convention of sysexits.h, a system file is missing or wrong (EX_OSFILE)',
      73: 'by the convention of sysexits.h, an output file cannot be created (EX_CANTCREAT)',
      74: 'by the convention of sysexits.h, reading or writing failed (EX_IOERR)',
      75: 'by the convention of sysexits.h, a temporary failure: try again (EX_TEMPFAIL)',
      76: 'by the convention of sysexits.h, the other side broke the protocol (EX_PROTOCOL)',
      77: 'by the convention of sysexits.h, permission is missing (EX_NOPERM)',
      78: 'by the convention of sysexits.h, the configuration is wrong (EX_CONFIG)',
    },
  },
  {
    title: 'Convention: out of range',
    executables: [],
    convention: true,
    source: 'wait(2): a parent sees the low 8 bits of the argument of exit(3)',
    codes: { 255: 'by convention, a general failure: exit(-1), reduced to 8 bits' },
  },
];
