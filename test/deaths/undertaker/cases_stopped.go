// Cases of processes that are stopped by a signal when another one comes.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const keySuspend = 0x1a // Ctrl-Z

var stoppedCases = []deathCase{
	{"stopped", inTurn([]string{"wait"}, unix.SIGSTOP, unix.SIGKILL)},
	{"stopped-sigterm-sigkill", inTurn([]string{"wait"}, unix.SIGSTOP, unix.SIGTERM, unix.SIGKILL)},
	{"stopped-handler-sigkill", inTurn([]string{"exit-on", "SIGTERM", "0"}, unix.SIGSTOP, unix.SIGTERM, unix.SIGKILL)},
	{"stopped-threads-sigkill", inTurn([]string{"wait-with-threads", "16"}, unix.SIGSTOP, unix.SIGTERM, unix.SIGKILL)},
	{"stopped-by-sigtstp", inTurn([]string{"wait"}, unix.SIGTSTP, unix.SIGKILL)},
	{"stopped-twice", inTurn([]string{"wait"}, unix.SIGSTOP, unix.SIGSTOP, unix.SIGKILL)},
	{"stopped-continued-stopped", inTurn([]string{"wait"}, unix.SIGSTOP, unix.SIGCONT, unix.SIGSTOP, unix.SIGKILL)},
	{"stopped-sigterm-continued", inTurn([]string{"wait"}, unix.SIGSTOP, unix.SIGTERM, unix.SIGCONT)},
	{"stopped-continued-sigkill", inTurn([]string{"wait"}, unix.SIGSTOP, unix.SIGCONT, unix.SIGKILL)},
	{"stopped-request-continued-sigkill", inTurn([]string{"catch-then", "SIGTERM", "wait"}, unix.SIGSTOP, unix.SIGTERM, unix.SIGCONT, unix.SIGKILL)},
	{"sigtstp-orphaned-group", onTerminal(suspendedInVain, "wait")},
	{"suspended-with-ctrl-z", inJob(jobWaits, true, func(t *terminal) error { return typed(keySuspend)(t) })},
	{"reads-in-background", inJob(jobReads, false, nil)},
	{"writes-in-background", inJob(jobWrites, false, nil)},
}

// inTurn has a killer for each signal send it to mortal, in this order. After each but the last, it waits until mortal is stopped, or runs
// again. The killer of the signal that terminates counts.
func inTurn(way []string, signals ...syscall.Signal) func(u *undertaker) error {
	return func(u *undertaker) error {
		// In a group of its own: SIGTSTP does nothing to an orphaned one, as the undertaker's may be.
		v, err := u.launch(launch{args: append([]string{"mortal"}, way...), attr: &syscall.SysProcAttr{Setpgid: true}})
		if err != nil {
			return err
		}
		if err := v.awaitReady(); err != nil {
			return err
		}
		var counts *killerHandle
		state := "running"
		for i, signal := range signals {
			k, err := u.startKiller(0)
			if err != nil {
				return err
			}
			if counts == nil || signal == unix.SIGTERM || signal == unix.SIGKILL {
				counts = k
			}
			v.markBefore()
			if err := k.order("kill", v.PID, int(signal)); err != nil {
				return err
			}
			if i == len(signals)-1 {
				break
			}
			switch signal {
			case unix.SIGSTOP, unix.SIGTSTP:
				state = "T"
			case unix.SIGCONT:
				state = "running"
			}
			if err := awaitStopped(v.PID, state == "T"); err != nil {
				return err
			}
		}
		return u.reap(v, &counts.actor)
	}
}

// awaitStopped waits until the process is stopped, or is not.
func awaitStopped(pid int, stopped bool) error {
	return awaitTrue(fmt.Sprintf("process %d stopped: %t", pid, stopped), func() error {
		s, err := readStat(pid)
		if err == nil && (s.state == "T") != stopped {
			err = fmt.Errorf("its state is %s", s.state)
		}
		return err
	})
}

// suspendedInVain: Ctrl-Z does not stop the leader of a session, whose process group is orphaned.
func suspendedInVain(t *terminal) error {
	if err := typed(keySuspend)(t); err != nil {
		return err
	}
	if err := typed(keyInterrupt)(t); err != nil {
		return err
	}
	return nil
}

// What a job does, as a script of dash.
const (
	jobWaits  = "echo ready; read _ < /dev/zero"
	jobReads  = "echo ready; read _"
	jobWrites = "echo ready; echo into the terminal >&0; read _ < /dev/zero"
)

// jobScript is a session leader on a terminal. It runs a job in a process group of its own, and prints how the job ended.
const jobScript = `import os, signal, sys, termios
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
modes = termios.tcgetattr(0)
modes[3] |= termios.TOSTOP
termios.tcsetattr(0, termios.TCSANOW, modes)
job = os.fork()
if job == 0:
    os.setpgid(0, 0)
    if sys.argv[1] == 'foreground': os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv('/bin/dash', ['dash', '-c', sys.argv[2]])
os.write(1, b'%d\n' % job)
os.write(1, b'%d\n' % os.waitpid(job, 0)[1])`

// inJob runs a job, does something at its terminal, and kills the job when it is stopped.
func inJob(script string, foreground bool, act func(t *terminal) error) func(u *undertaker) error {
	return func(u *undertaker) error {
		t, err := openTerminal()
		if err != nil {
			return err
		}
		u.atClose = append(u.atClose, func() { _ = t.keyboard.Close() })
		python, err := findProgram("python3")
		if err != nil {
			return err
		}
		place := map[bool]string{true: "foreground", false: "background"}[foreground]
		leader, err := u.launch(launch{
			exe: python, args: []string{"python3", "-c", jobScript, place, script}, stdin: t.screen,
			attr: &syscall.SysProcAttr{Setsid: true, Setctty: true},
		})
		_ = t.screen.Close()
		if err != nil {
			return err
		}
		v, err := jobOf(leader.out)
		if err != nil {
			return err
		}
		if act != nil {
			if err := act(t); err != nil {
				return err
			}
		}
		if err := awaitStopped(v.PID, true); err != nil {
			return err
		}
		return u.killJob(leader, v)
	}
}

// jobOf reads the job's pid and its `ready`, in any order.
func jobOf(out *bufio.Reader) (*victim, error) {
	pid := 0
	for range 2 {
		line, err := out.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("the job is not ready: %q, %w", line, err)
		}
		if line == "ready\n" {
			continue
		}
		if _, err := fmt.Sscan(strings.TrimSpace(line), &pid); err != nil {
			return nil, fmt.Errorf("the pid of the job: %q, %w", line, err)
		}
	}
	return adopt(pid)
}

func (u *undertaker) killJob(leader, v *victim) error {
	k, err := u.startKiller(0)
	if err != nil {
		return err
	}
	v.markBefore()
	if err := k.order("kill", v.PID, int(unix.SIGKILL)); err != nil {
		return err
	}
	var status uint32
	if _, err := fmt.Fscanln(leader.out, &status); err != nil {
		return fmt.Errorf("the status of the job: %w", err)
	}
	u.recordStatus(v, syscall.WaitStatus(status), &k.actor)
	return os.NewSyscallError("wait4", leader.reapUnrecorded())
}
