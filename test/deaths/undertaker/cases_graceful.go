// Cases in which a process exits with code 0, after another process asked it to, or not.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// The beginnings and ends of programs in Python. `ready` is printed when the signals may come.
const (
	pythonStart = "import os, signal, sys, time\nTERM, HUP = signal.SIGTERM, signal.SIGHUP\nstop = lambda *_: sys.exit(0)\n"
	// untilInput exits with code 0 when the undertaker allows it.
	untilInput   = "print('ready', flush=True)\nsys.stdin.readline()\n"
	untilStopped = "print('ready', flush=True)\nwhile True: time.sleep(60)\n"

	otherThreadExits = `import os, signal, threading, time
asked = threading.Event()
signal.signal(15, lambda *_: asked.set())
threading.Thread(target=lambda: (asked.wait(), os._exit(0))).start()
`
	// A POSIX timer with SIGEV_SIGNAL.
	timerOfItsOwn = `import ctypes
signal.signal(TERM, stop)
libc, timer = ctypes.CDLL(None), ctypes.c_void_p()
event = (ctypes.c_int * 16)(0, 0, TERM, 0)
assert libc.timer_create(1, event, ctypes.byref(timer)) == 0
assert libc.timer_settime(timer, 0, (ctypes.c_long * 4)(0, 0, 0, 50_000_000), None) == 0
`
	gunicornConfiguration = "when_ready = lambda server: print('ready', flush=True)"
)

var gracefulCases = []deathCase{
	{"sigterm-then-exit-0", killed("kill", unix.SIGTERM, "exit-on", "SIGTERM", "0")},
	{"sigint-then-exit-0", killed("kill", unix.SIGINT, "exit-on", "SIGINT", "0")},
	{"sighup-then-exit-0", killed("kill", unix.SIGHUP, "exit-on", "SIGHUP", "0")},
	{"sigquit-then-exit-0", killed("kill", unix.SIGQUIT, "exit-on", "SIGQUIT", "0")},
	{"sigabrt-then-exit-0", killed("kill", unix.SIGABRT, "exit-on", "SIGABRT", "0")},
	{"sigterm-queued-then-exit-0", killed("queue", unix.SIGTERM, "exit-on", "SIGTERM", "0")},
	{"ctrl-c-then-exit-0", onTerminal(typed(keyInterrupt), "exit-on", "SIGINT", "0")},
	{"hangup-then-exit-0", onTerminal(hungUp, "exit-on", "SIGHUP", "0")},
	{"other-thread-exits-0", signalled(unix.SIGTERM, "python3", "-c", otherThreadExits+untilStopped)},
	{"sigwait-then-exit-0", signalled(unix.SIGTERM, "python3", "-c", blockScript+"signal.sigwait(term); sys.exit(0)")},
	{"python-interrupt-then-exit-0", signalled(unix.SIGINT, "python3", "-c",
		"import time\nprint('ready', flush=True)\ntry: time.sleep(60)\nexcept KeyboardInterrupt: pass")},
	{"node-stops-with-0", signalled(unix.SIGTERM, "node", "-e",
		"process.on('SIGTERM', () => process.exit(0)); console.log('ready'); setInterval(() => {}, 1000)")},
	{"shell-trap-then-exit-0", signalled(unix.SIGTERM, "bash", "-c", "trap 'exit 0' TERM; echo ready; while :; do sleep .05; done")},
	{"gunicorn-stops-with-0", gunicornStops},
	{"systemd-stop-with-exit-0", serviceEnds([]string{"systemctl", "stop"}, nil, "exit-on", "SIGTERM", "0")},
	{"stopped-then-exit-0", asked("signal.signal(TERM, stop)\n"+untilInput, 1, unix.SIGSTOP, unix.SIGTERM, unix.SIGCONT)},
	{"reloaded-then-exit-0", asked("signal.signal(HUP, lambda *_: 0)\nsignal.signal(TERM, lambda *_: 0)\n"+untilInput, 1, unix.SIGHUP, unix.SIGTERM)},
	{"ignored-hangup-then-exit-0", asked("signal.signal(TERM, lambda *_: 0)\nsignal.signal(HUP, signal.SIG_IGN)\n"+untilInput, 0, unix.SIGTERM, unix.SIGHUP)},

	{"own-sigterm-then-exit-0", program("python3", "-c", pythonStart+"signal.signal(TERM, stop)\nos.kill(os.getpid(), TERM)\ntime.sleep(60)")},
	{"timer-then-exit-0", program("python3", "-c", pythonStart+timerOfItsOwn+untilStopped)},
	{"sigterm-ignored-then-exit-0", asked("signal.signal(TERM, signal.SIG_IGN)\n"+untilInput, 0, unix.SIGTERM)},
	{"sigterm-blocked-then-exit-0", asked("signal.pthread_sigmask(signal.SIG_BLOCK, [TERM])\n"+untilInput, 0, unix.SIGTERM)},
	{"sigterm-with-handler-blocked-then-exit-0", asked("signal.signal(TERM, stop)\nsignal.pthread_sigmask(signal.SIG_BLOCK, [TERM])\n"+untilInput, 0, unix.SIGTERM)},
}

// asked starts Python, and has a killer for each signal send it, in this order. Then it lets the process go on. by: the killer that counts.
func asked(script string, by int, signals ...syscall.Signal) func(u *undertaker) error {
	return func(u *undertaker) error {
		exe, err := findProgram("python3")
		if err != nil {
			return err
		}
		v, orders, err := u.launchListening(launch{exe: exe, args: []string{"python3", "-c", pythonStart + script}})
		if err != nil {
			return err
		}
		if err := v.awaitReady(); err != nil {
			return err
		}
		var killers []*killerHandle
		for _, signal := range signals {
			k, err := u.startKiller(0)
			if err != nil {
				return err
			}
			if err := k.order("kill", v.PID, int(signal)); err != nil {
				return err
			}
			killers = append(killers, k)
		}
		v.markBefore()
		if err := orders.Close(); err != nil {
			return err
		}
		return u.reap(v, &killers[by].actor)
	}
}

// gunicornStops has a killer stop the master of gunicorn, which stops its worker.
func gunicornStops(u *undertaker) error {
	script, err := findProgram("gunicorn")
	if err != nil {
		return err
	}
	exe, err := findProgram("python3")
	if err != nil {
		return err
	}
	configuration := filepath.Join(u.workDir, "gunicorn.conf.py")
	if err := os.WriteFile(configuration, []byte(gunicornConfiguration), 0o600); err != nil {
		return err
	}
	v, err := u.launch(launch{exe: exe, args: []string{"python3", script, "--config", configuration,
		"--bind", "unix:" + filepath.Join(u.workDir, "gunicorn.sock"), "--log-level", "critical", "wsgiref.simple_server:demo_app"}})
	if err != nil {
		return err
	}
	return u.killReady(v, unix.SIGTERM)
}
