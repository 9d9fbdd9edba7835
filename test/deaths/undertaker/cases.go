// The cases, and those that need no more than a victim and a killer.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

type deathCase struct {
	name   string
	happen func(u *undertaker) error
}

// nobody is a user id that owns nothing, on every machine.
const nobody = 65534

var cases = []deathCase{
	// By itself.
	{"exit-3", byItself("exit", "3")},
	{"exit-in-thread", byItself("exit-in-thread", "6")},
	{"leader-first", byItself("leader-first", "5", "7")},
	{"exec-in-thread", execInThread},
	{"odd-arguments", byItself("exit", "3", "ü", "two words", "a\nline and a \"quote\"", "")},
	{"pid-reuse", pidReuse},
	{"under-a-millisecond", underAMillisecond},
	{"segfault", byItself("segfault")},
	{"segfault-in-thread", byItself("segfault-in-thread")},
	{"general-protection", byItself("general-protection")},
	{"bus-error", byItself("bus-error")},
	{"illegal-instruction", byItself("illegal-instruction")},
	{"panic", byItself("panic")},
	{"panic-abort", panicAbort},
	{"abort", byItself("abort")},
	{"abort-with-core", abortWithCore},
	{"raise-sigusr1", byItself("raise", "SIGUSR1")},

	// By another process.
	{"sigkill", killed("kill", unix.SIGKILL, "wait")},
	{"sigterm", killed("kill", unix.SIGTERM, "wait")},
	{"sigsegv", killed("kill", unix.SIGSEGV, "wait")},
	{"sigquit", killed("kill", unix.SIGQUIT, "wait")},
	{"sigint", killed("kill", unix.SIGINT, "wait")},
	{"leader-gone", killed("kill", unix.SIGKILL, "leader-gone")},
	{"stopped", stoppedThenKilled},
	{"first-of-two-senders", firstOfTwoSenders},
	{"tgkill", killThread},
	{"pidfd", killed("pidfd", unix.SIGKILL, "wait")},
	{"sigqueue", killed("queue", unix.SIGTERM, "wait")},
	{"sigkill-by-nobody", killedByNobody},
	{"sigkill-by-parent", killedByParent},
	{"process-group", processGroup},
	{"sigterm-then-exit-143", killed("kill", unix.SIGTERM, "exit-on-term", "143")},
	{"sigterm-ignored-then-sigkill", ignoredThenKilled},
	{"sigterm-in-go-runtime", killed("kill", unix.SIGTERM, "wait-caught")},
	{"cgroup-kill", cgroupKill},
	{"pid-namespace", inPidNamespace},

	// By the kernel, for a reason.
	{"out-of-memory", outOfMemory},
	{"namespace-exit", namespaceExit},
	{"parent-death", parentDeath},
	{"ctrl-c", onTerminal(func(t *terminal) error { return t.typeKey(keyInterrupt) })},
	{"hangup", onTerminal(func(t *terminal) error { return t.hangUp() })},
	{"broken-pipe", byItself("broken-pipe")},
	{"alarm", byItself("alarm")},
	{"posix-timer", byItself("posix-timer")},
	{"tracer-exit", tracerExit},
	{"cpu-limit", byItself("cpu-limit", "6")},
	{"cpu-limit-hard", byItself("cpu-limit", "1")},
	{"file-limit", byItself("file-limit")},
	{"seccomp", byItself("seccomp")},

	// No death that is worth a record.
	{"exit-0", byItself("exit", "0")},
	{"sigterm-then-exit-0", killed("kill", unix.SIGTERM, "exit-on-term", "0")},
}

func byItself(args ...string) func(u *undertaker) error {
	return func(u *undertaker) error {
		v, err := u.start(args...)
		if err != nil {
			return err
		}
		return u.bury(v, nil)
	}
}

// victimAndKiller starts a victim that lives in the given way, and somebody who is to end that.
func (u *undertaker) victimAndKiller(args ...string) (*victim, *killerHandle, error) {
	v, err := u.startReady(args...)
	if err != nil {
		return nil, nil, err
	}
	k, err := u.hire(0)
	return v, k, err
}

// killed lets a killer send the signal, in the way that its order names, to a victim that lives in the given way.
func killed(order string, signal syscall.Signal, args ...string) func(u *undertaker) error {
	return func(u *undertaker) error {
		v, k, err := u.victimAndKiller(args...)
		if err != nil {
			return err
		}
		v.markBefore()
		if err := k.order(order, v.PID, int(signal)); err != nil {
			return err
		}
		return u.bury(v, &k.actor)
	}
}

func killThread(u *undertaker) error {
	v, k, err := u.victimAndKiller("wait")
	if err != nil {
		return err
	}
	v.markBefore()
	if err := k.order("thread", v.PID, v.PID, int(unix.SIGTERM)); err != nil {
		return err
	}
	return u.bury(v, &k.actor)
}

func killedByNobody(u *undertaker) error {
	v, err := u.startReady("as", fmt.Sprint(nobody), "wait")
	if err != nil {
		return err
	}
	k, err := u.hire(nobody)
	if err != nil {
		return err
	}
	v.markBefore()
	if err := k.order("kill", v.PID, int(unix.SIGKILL)); err != nil {
		return err
	}
	return u.bury(v, &k.actor)
}

// killedByParent is the one case in which the undertaker kills with its own hands.
func killedByParent(u *undertaker) error {
	v, err := u.startReady("wait")
	if err != nil {
		return err
	}
	self, err := readActor(os.Getpid())
	if err != nil {
		return err
	}
	v.markBefore()
	if err := unix.Kill(v.PID, unix.SIGKILL); err != nil {
		return err
	}
	return u.bury(v, self)
}

func processGroup(u *undertaker) error {
	first, err := u.launch(launch{args: []string{"mortal", "wait"}, attr: &syscall.SysProcAttr{Setpgid: true}})
	if err != nil {
		return err
	}
	second, err := u.launch(launch{args: []string{"mortal", "wait"}, attr: &syscall.SysProcAttr{Setpgid: true, Pgid: first.PID}})
	if err != nil {
		return err
	}
	k, err := u.hire(0)
	if err != nil {
		return err
	}
	for _, v := range []*victim{first, second} {
		if err := v.awaitReady(); err != nil {
			return err
		}
		v.markBefore()
	}
	if err := k.order("kill", -first.PID, int(unix.SIGTERM)); err != nil {
		return err
	}
	if err := u.bury(first, &k.actor); err != nil {
		return err
	}
	return u.bury(second, &k.actor)
}

func ignoredThenKilled(u *undertaker) error {
	v, k, err := u.victimAndKiller("ignore-term")
	if err != nil {
		return err
	}
	if err := k.order("kill", v.PID, int(unix.SIGTERM)); err != nil {
		return err
	}
	time.Sleep(50 * time.Millisecond) // the grace that a service manager would give
	v.markBefore()
	if err := k.order("kill", v.PID, int(unix.SIGKILL)); err != nil {
		return err
	}
	return u.bury(v, &k.actor)
}

// stoppedThenKilled has two killers: the one that stops it, and the one that ends it.
func stoppedThenKilled(u *undertaker) error {
	v, stopper, err := u.victimAndKiller("wait")
	if err != nil {
		return err
	}
	k, err := u.hire(0)
	if err != nil {
		return err
	}
	if err := stopper.order("kill", v.PID, int(unix.SIGSTOP)); err != nil {
		return err
	}
	if _, err := syscall.Wait4(v.PID, nil, syscall.WUNTRACED, nil); err != nil {
		return err
	}
	v.markBefore()
	if err := k.order("kill", v.PID, int(unix.SIGKILL)); err != nil {
		return err
	}
	return u.bury(v, &k.actor)
}

// execInThread ends as another program than it began: same executable, other arguments.
func execInThread(u *undertaker) error {
	v, err := u.start("exec-in-thread", "4")
	if err != nil {
		return err
	}
	v.Args = []string{"mortal", "exit", "4"}
	return u.bury(v, nil)
}

func panicAbort(u *undertaker) error {
	v, err := u.launch(launch{args: []string{"mortal", "panic"}, env: []string{"GOTRACEBACK=crash"}})
	if err != nil {
		return err
	}
	return u.bury(v, nil)
}

// abortWithCore allows a core file in the work directory. Whether one is written is the machine's choice: wait4 says.
func abortWithCore(u *undertaker) error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}); err != nil {
		return err
	}
	return byItself("abort")(u)
}
