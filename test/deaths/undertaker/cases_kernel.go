// Cases in which the kernel terminates a process.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

var kernelCases = []deathCase{
	{"segfault", byItself("segfault")},
	{"segfault-in-thread", byItself("segfault-in-thread")},
	{"segfault-in-thread-with-core", withCore("segfault-in-thread")},
	{"general-protection", byItself("general-protection")},
	{"privileged-instruction", byItself("privileged-instruction")},
	{"write-read-only", byItself("write-read-only")},
	{"execute-data", byItself("execute-data")},
	{"jump-to-null", byItself("jump-to-null")},
	{"stack-overflow", byItself("stack-overflow")},
	{"bus-error", byItself("bus-error")},
	{"illegal-instruction", byItself("illegal-instruction")},
	{"division-by-zero", byItself("division-by-zero")},
	{"breakpoint", byItself("breakpoint")},
	{"out-of-memory", outOfMemory},
	{"innocent-allocator", innocentAllocator},
	{"shared-memory", sharedMemory},
	{"child-out-of-memory", childOutOfMemory},
	{"chosen-and-killed", chosenAndKilled},
	{"namespace-exit", namespaceExit(initKilled)},
	{"namespace-init-exits", namespaceExit(initExits)},
	{"namespace-powers-off", namespaceExit(initPowersOff)},
	{"parent-death", parentDeath(unix.SIGTERM)},
	{"parent-death-sigkill", parentDeath(unix.SIGKILL)},
	{"parent-killed", parentKilled},
	{"parent-thread-death", parentThreadDeath},
	{"child-exit-signal", childExitSignal},
	{"orphaned-and-stopped", orphanedAndStopped},
	{"ctrl-c", onTerminal(typed(keyInterrupt), "wait")},
	{"ctrl-backslash", onTerminal(typed(keyQuit), "wait")},
	{"hangup", onTerminal(hungUp, "wait")},
	{"broken-pipe", byItself("broken-pipe")},
	{"broken-pipe-blocked", byItself("broken-pipe-blocked")},
	{"broken-socket", byItself("broken-socket")},
	{"signal-on-input", signalOnInput("SIGIO")},
	{"other-signal-on-input", signalOnInput("SIGUSR1")},
	{"signal-on-mail", signalOnMail},
	{"alarm", byItself("alarm")},
	{"virtual-timer", byItself("work-timer", "virtual")},
	{"prof-timer", byItself("work-timer", "prof")},
	{"posix-timer", byItself("posix-timer", "SIGALRM")},
	{"posix-timer-sigkill", byItself("posix-timer", "SIGKILL")},
	{"posix-timer-sigusr2", byItself("posix-timer", "SIGUSR2")},
	{"tracer-exit", tracerExit},
	{"cpu-limit", byItself("cpu-limit", "6")},
	{"cpu-limit-hard", byItself("cpu-limit", "1")},
	{"realtime-limit", byItself("realtime-limit", "20000", "10000000")},
	{"realtime-limit-hard", byItself("realtime-limit", "20000", "20000")},
	{"file-limit", byItself("file-limit")},
	{"truncate-limit", byItself("truncate-limit")},
	{"seccomp", byItself("seccomp")},
	{"seccomp-trap", byItself("seccomp-trap")},
	{"seccomp-only-thread", byBareProcess(killsOnlyThread)},
	{"seccomp-one-thread", byItself("seccomp-thread", "3")},
	{"seccomp-strict", byBareProcess(strict)},
}

func withCore(args ...string) func(u *undertaker) error {
	return func(u *undertaker) error {
		if err := allowCore(); err != nil {
			return err
		}
		return byItself(args...)(u)
	}
}

// signalOnInput has a killer write to the FIFO for which the victim requested a signal. The kernel sends it.
func signalOnInput(signal string) func(u *undertaker) error {
	return func(u *undertaker) error {
		fifo := filepath.Join(u.workDir, "fifo")
		if err := syscall.Mkfifo(fifo, 0o600); err != nil {
			return err
		}
		v, k, err := u.victimAndKiller("signal-on-input", signal, fifo)
		if err != nil {
			return err
		}
		return u.killedBy(v, k, "write", "1", fifo)
	}
}

// signalOnMail has a killer write to the message queue for which the victim requested a signal.
func signalOnMail(u *undertaker) error {
	name := filepath.Base(u.workDir)
	v, k, err := u.victimAndKiller("signal-on-mail", name)
	if err != nil {
		return err
	}
	return u.killedBy(v, k, "mail", name)
}
