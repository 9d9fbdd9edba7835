// Cases of programs that users run: language runtimes, shells, sudo, systemd, containers.
//
// SPDX-License-Identifier: Apache-2.0
package main

import "golang.org/x/sys/unix"

// blockScript blocks SIGTERM and prints `ready`.
const blockScript = "import signal, sys; term = [signal.SIGTERM]; signal.pthread_sigmask(signal.SIG_BLOCK, term); print('ready', flush=True)\n"

// waitPending waits until a blocked signal is pending, and leaves it pending.
const waitPending = "while not signal.sigpending(): pass\nsys.exit(3)"

var worldCases = []deathCase{
	{"bash-set-e", program("bash", "-c", "set -e; false; echo never")},
	{"bash-command-not-found", program("bash", "-c", "no-such-program")},
	{"bash-exec-format-error", execFormatError},
	{"bash-kills-itself", program("bash", "-c", "kill -KILL $$")},
	{"perl-die", program("perl", "-e", "$! = 0; die 'out of cheese'")},
	{"node-uncaught-exception", program("node", "-e", "throw new Error('out of cheese')")},
	{"node-exit", program("node", "-e", "process.exit(7)")},
	{"node-exit-4", program("node", "-e", "process.exit(4)")},
	{"node-abort", program("node", "-e", "process.abort()")},
	{"node-out-of-heap", program("node", "--max-old-space-size=16", "-e", "const kept = []; for (;;) kept.push(new Array(1000).fill(0.5))")},
	{"node-sigterm", signalled(unix.SIGTERM, "node", "-e", "console.log('ready'); setInterval(() => {}, 1000)")},
	{"python-exception", program("python3", "-c", "raise ValueError('out of cheese')")},
	{"python-exit", program("python3", "-c", "import sys; sys.exit(3)")},
	{"python-abort", program("python3", "-c", "import os; os.abort()")},
	{"python-segfault", program("python3", "-c", "import ctypes; ctypes.memset(0xbeef, 0, 1)")},
	{"python-keyboard-interrupt", signalled(unix.SIGINT, "python3", "-c", "import time; print('ready', flush=True); time.sleep(60)")},
	{"python-faulthandler", program("python3", "-X", "faulthandler", "-c", "import ctypes; ctypes.memset(0xbeef, 0, 1)")},
	{"python-sigwait", signalled(unix.SIGTERM, "python3", "-c", blockScript+"signal.sigwait(term); sys.exit(3)")},
	{"python-blocked", signalled(unix.SIGTERM, "python3", "-c", blockScript+waitPending)},
	{"jvm-exception", jvm("exception")},
	{"jvm-halt", jvm("halt")},
	{"jvm-out-of-memory", jvm("out-of-memory")},
	{"jvm-thread-dump", jvmThreadDump},
	{"jvm-sigterm", jvmSigterm},
	{"jvm-crash", jvm("crash")},
	{"go-panic", byItself("panic")},
	{"go-sigquit", killed("kill", unix.SIGQUIT, "wait-caught")},
	{"cpp-uncaught-exception", compiled("terminate", "uncaught")},
	{"cpp-terminate", compiled("terminate", "terminate")},
	{"rust-panic", compiled("panic", "panic")},
	{"rust-stack-overflow", compiled("panic", "overflow")},

	{"kill-of-bash", killedBy(byProgram{command: []string{"bash", "-c", killScript + "kill -TERM " + pidWord}})},
	{"kill-of-dash", killedBy(byProgram{command: []string{"dash", "-c", killScript + "kill -KILL " + pidWord}})},
	{"kill-of-procps", killedBy(byProgram{command: []string{"dash"}, becomes: []string{"/usr/bin/kill", "-TERM", pidWord}})},
	{"pkill", killedByPkill},
	{"pkill-by-agent", pkilledByAgent},
	{"sudo", killedBy(byProgram{
		command: []string{"sudo", "-u", "nobody", "dash"}, becomes: []string{"/usr/bin/kill", "-TERM", pidWord}, victim: nobody,
	})},
	{"sudo-relays", sudoRelays},
	{"su", killedBy(byProgram{
		command: []string{"su", "-s", "/usr/bin/dash", "nobody", "-c", killScript + "kill -TERM " + pidWord}, victim: nobody,
	})},
	{"timeout", timedOut()},
	{"timeout-sigkill", timedOut("-s", "KILL")},
	{"supervisor", supervised},

	{"systemd-stop", serviceEnds([]string{"systemctl", "stop"}, nil, "wait")},
	{"systemd-stop-ignored", serviceEnds([]string{"systemctl", "stop"}, []string{"TimeoutStopSec=1"}, "ignore-term")},
	{"systemd-kill", serviceEnds([]string{"systemctl", "kill", "--signal=KILL"}, nil, "wait")},
	{"systemd-watchdog", serviceEnds(nil, []string{"WatchdogSec=1"}, "wait")},
	{"systemd-stop-through-sudo", stoppedThroughSudo},
	{"systemd-timeout-beside-denied", timeoutBesideDenied},
	{"systemd-out-of-memory", serviceOutOfMemory},
	{"systemd-stop-handled", serviceEnds([]string{"systemctl", "stop"}, nil, "exit-on", "SIGTERM", "3")},

	{"container-exit", inContainer(containerExits, nil, thenDo("exit 3")...)},
	{"container-out-of-memory", inContainer(containerOutOfMemory, []string{"--memory", "32m", "--memory-swap", "32m"},
		thenDo("exec /mortal eat-memory")...)},
	{"container-init-exits", inContainer(containerInitExits, nil, thenDo("exit 3")...)},
	{"container-killed-inside", inContainer(killedInside, nil, "/mortal", "wait")},
	{"docker-kill", inContainer(endedByDocker(unix.SIGKILL, "kill"), nil, "/mortal", "wait")},
	{"docker-stop-by-script", inContainer(stoppedByScript, []string{"--name", dockerImage}, "/mortal", "exit-on", "SIGTERM", "3")},
	{"docker-stop-handled", inContainer(endedByDocker(unix.SIGTERM, "stop"), nil, "/mortal", "exit-on", "SIGTERM", "3")},
	{"docker-stop-raised-again", inContainer(endedByDocker(unix.SIGTERM, "stop"), nil, "/mortal", "wait-caught")},
	{"docker-stop-init", inContainer(initForwards, []string{"--init"}, "/mortal", "wait")},
	{"docker-stop-ignored", inContainer(endedByDocker(unix.SIGKILL, "stop", "--time", "1"), nil, "/mortal", "ignore-term")},
	{"docker-stop-no-handler", inContainer(endedByDocker(unix.SIGKILL, "stop", "--time", "1"), nil, "/mortal", "wait")},
}
