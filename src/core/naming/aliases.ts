// SPDX-License-Identifier: Apache-2.0
// Executables that are called by several names, and names that people do not use: only data. program.ts applies it.

/** One file that is several programs: which names it may be called by. */
export const ALIASES: readonly { readonly files: RegExp; readonly names: RegExp }[] = [
  { files: /^(?:dash|bash|ksh\d*|mksh|zsh)$/, names: /^sh$/ },
  { files: /^(?:pgrep|pkill|pidwait)$/, names: /^(?:pgrep|pkill|pidwait)$/ },
  {
    files: /^(?:redis|valkey)-(?:server|sentinel|check-rdb|check-aof)$/,
    names: /^(?:redis|valkey)-(?:server|sentinel|check-rdb|check-aof)$/,
  },
  { files: /^systemctl$/, names: /^(?:reboot|poweroff|halt|shutdown|init|telinit|runlevel)$/ },
  { files: /^(?:killall5|pidof)$/, names: /^(?:killall5|pidof)$/ },
  { files: /^(?:mawk|gawk|original-awk)$/, names: /^awk$/ },
  { files: /^(?:mariadbd|mysqld)$/, names: /^(?:mariadbd|mysqld)$/ },
  { files: /^postgres$/, names: /^postmaster$/ },
  { files: /^(?:exim4|postfix|msmtp)$/, names: /^sendmail$/ },
  { files: /^erlexec$/, names: /^erl$/ },
  { files: /^(?:xtables|ip6?tables)-\w+-multi$/, names: /^ip6?tables(?:-save|-restore)?$/ },
  { files: /^(?:vim|nvim|nano|busybox)(?:\.\w+)?$/, names: /^(?:vi|vim|view|editor)$/ },
];

/** Executables of which each name is a program of its own. */
export const APPLETS: ReadonlySet<string> = new Set(['busybox', 'toybox', 'coreutils']);

/** Names that processes have, and what people call them. */
export const COMMON_NAMES: ReadonlyMap<string, string> = new Map([
  // The main thread of Node.js since version 23.
  ['MainThread', 'node'],
  ['node-MainThread', 'node'],
  ['celeryd', 'celery'],
  ['PM2', 'pm2'],
  ['uWSGI', 'uwsgi'],
  ['uwsgi-core', 'uwsgi'],
  ['Passenger', 'passenger'],
]);

/** A comm that is the beginning of a title. */
export const TITLED = /: |:$|^(?:npm|npx|yarn|pnpm|node|puma|sidekiq|unicorn|uWSGI|Passenger) /;

/** System programs that no interpreter runs. A script or a title of that name is shown as the interpreter. */
export const NATIVE: ReadonlySet<string> = new Set(
  'systemd systemd-executor systemd-shutdown systemd-logind systemd-oomd systemd-udevd systemd-journald init kernel kthreadd dockerd containerd containerd-shim containerd-shim-runc-v2 runc crun conmon kubelet crio sshd sshd-session login sudo su doas cron crond atd earlyoom oomd auditd timeout kill pkill killall whodunit whodunit-loader'.split(
    ' ',
  ),
);
