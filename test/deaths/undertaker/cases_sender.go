// Cases of signals that a process sends to another process or to itself.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

var senderCases = []deathCase{
	{"abort", byItself("abort")},
	{"abort-with-core", withCore("abort")},
	{"raise-sigusr1", byItself("raise", "SIGUSR1")},
	{"raise-in-thread", byItself("raise-in-thread", "SIGUSR2")},
	{"sigkill", killed("kill", unix.SIGKILL, "wait")},
	{"sigterm", killed("kill", unix.SIGTERM, "wait")},
	{"sigsegv", killed("kill", unix.SIGSEGV, "wait")},
	{"sigquit", killed("kill", unix.SIGQUIT, "wait")},
	{"sigint", killed("kill", unix.SIGINT, "wait")},
	{"sighup", killed("kill", unix.SIGHUP, "wait")},
	{"sigabrt", killed("kill", unix.SIGABRT, "wait")},
	{"sigpipe", killed("kill", unix.SIGPIPE, "wait")},
	{"sigalrm", killed("kill", unix.SIGALRM, "wait")},
	{"sigxcpu", killed("kill", unix.SIGXCPU, "wait")},
	{"sigxfsz", killed("kill", unix.SIGXFSZ, "wait")},
	{"sigsys", killed("kill", unix.SIGSYS, "wait")},
	{"sigtrap", killed("kill", unix.SIGTRAP, "wait")},
	{"real-time-signal", killed("kill", realTimeSignal, "wait")},
	{"many-threads-sigterm", killed("kill", unix.SIGTERM, "wait-with-threads", "64")},
	{"exec-then-killed", execThenKilled},
	{"leader-gone", killed("kill", unix.SIGKILL, "leader-gone")},
	{"first-of-two-senders", firstOfTwoSenders},
	{"blocked-and-sender-gone", blockedAndSenderGone(unix.SIGTERM)},
	{"blocked-and-dumping", blockedAndSenderGone(unix.SIGQUIT)},
	{"too-late-to-kill", tooLate(unix.SIGKILL)},
	{"too-late-to-terminate", tooLate(unix.SIGTERM)},
	{"zombie-signalled", zombieSignalled},
	{"dump-interrupted", dumpInterrupted},
	{"tgkill", killThread("thread")},
	{"tgsigqueue", killThread("queue-thread")},
	{"pidfd", killed("pidfd", unix.SIGKILL, "wait")},
	{"sigqueue", killed("queue", unix.SIGTERM, "wait")},
	{"sigkill-by-nobody", killedByNobody},
	{"sigkill-by-setuid", setuidSender},
	{"sigkill-by-parent", killedByParent},
	{"sigkill-by-child", killedByChild},
	{"line-of-senders", chainOfSenders},
	{"sender-gone", senderGone},
	{"process-group", processGroup},
	{"own-group", ownGroup},
	{"cgroup-kill", cgroupKill},
	{"in-container", killedIn("system.slice", "docker-"+containerID+".scope")},
	{"in-pod", killedIn("kubepods.slice", "kubepods-burstable.slice",
		"kubepods-burstable-pod0a1b2c3d_4e5f_6071_8293_a4b5c6d7e8f9.slice", "cri-containerd-"+containerID+".scope")},
	{"in-unit", killedIn("system.slice", "checkout.service")},
	{"pid-namespace", inPidNamespace(1, false)},
	{"everyone-in-pid-namespace", inPidNamespace(2, true)},
	{"init-attacked", initAttacked},
	{"killed-while-traced", passedOn(unix.SIGTERM, unix.SIGTERM)},
	{"sigkill-while-traced", sigkillWhileTraced},
	{"tracer-injects", passedOn(unix.SIGUSR1, unix.SIGTERM)},
	{"tracer-swallows", suppressed},
	{"tracer-kills", tracerKills},
}

// realTimeSignal is SIGRTMIN+2 of user space.
const realTimeSignal = syscall.Signal(36)

func killThread(order string) func(u *undertaker) error {
	return func(u *undertaker) error {
		v, k, err := u.victimAndKiller("wait")
		if err != nil {
			return err
		}
		return u.killedBy(v, k, order, v.PID, v.PID, int(unix.SIGTERM))
	}
}

// execThenKilled kills a process after a thread other than the first executed another program.
func execThenKilled(u *undertaker) error {
	v, k, err := u.victimAndKiller("exec-in-thread", "wait")
	if err != nil {
		return err
	}
	v.Args = []string{"mortal", "wait"}
	return u.killedBy(v, k, "kill", v.PID, int(unix.SIGTERM))
}

func killedByNobody(u *undertaker) error {
	v, err := u.startReady("as", fmt.Sprint(nobody), "wait")
	if err != nil {
		return err
	}
	k, err := u.startKiller(nobody)
	if err != nil {
		return err
	}
	return u.killedBy(v, k, "kill", v.PID, int(unix.SIGKILL))
}

// killedByParent is the only case in which the undertaker itself sends the signal.
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
	return u.reap(v, self)
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
	k, err := u.startKiller(0)
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
	if err := u.reap(first, &k.actor); err != nil {
		return err
	}
	return u.reap(second, &k.actor)
}

// allowCore allows core files, in the work directory. Whether one is written depends on the machine: the status of wait4 shows it.
func allowCore() error {
	return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY})
}
