// Programs of the machine that kill: shells, kill(1), pkill, sudo, su, timeout, a supervisor.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// killScript prints the pid of the shell, waits for a line, and does then what follows it.
const killScript = "echo $$; read _; "

// byProgram is how one of the machine's programs kills.
type byProgram struct {
	command []string // prints the pid of the process that will kill, then waits for a line
	becomes []string // what that process executes to do it; empty: it kills by itself
	victim  uint32   // the user who is killed
}

// pidWord stands for the victim's pid in a command.
const pidWord = "VICTIM"

// killedBy lets the program kill a victim.
func killedBy(how byProgram) func(u *undertaker) error {
	return func(u *undertaker) error {
		v, err := u.startReady("as", fmt.Sprint(how.victim), "wait")
		if err != nil {
			return err
		}
		command, becomes := aimedAt(v, how.command), aimedAt(v, how.becomes)
		if len(becomes) > 0 {
			command = append(command, "-c", killScript+"exec "+strings.Join(becomes, " "))
		}
		return u.killWith(v, command, becomes)
	}
}

func aimedAt(v *victim, words []string) []string {
	aimed := slices.Clone(words)
	for i := range aimed {
		aimed[i] = strings.ReplaceAll(aimed[i], pidWord, strconv.Itoa(v.PID))
	}
	return aimed
}

func (u *undertaker) killWith(v *victim, command, becomes []string) error {
	exe, err := findProgram(command[0])
	if err != nil {
		return err
	}
	started, orders, err := u.launchListening(launch{exe: exe, args: command})
	if err != nil {
		return err
	}
	var pid int
	if _, err := fmt.Fscanln(started.out, &pid); err != nil {
		return fmt.Errorf("%v did not say its pid: %w", command, err)
	}
	who, err := readActor(pid)
	if err != nil {
		return err
	}
	if len(becomes) > 0 {
		who.Args = becomes
		if who.Exe, err = filepath.EvalSymlinks(becomes[0]); err != nil {
			return err
		}
	}
	v.markBefore()
	if _, err := fmt.Fprintln(orders); err != nil {
		return err
	}
	if err := u.bury(v, who); err != nil {
		return err
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(started.PID, &status, 0, nil); err != nil {
		return err
	}
	started.buried = true
	if status != 0 {
		return fmt.Errorf("%v ended with status %#x", command, uint32(status))
	}
	return nil
}

// sudoRelays lets a killer end sudo, which hands the signal on to its command, waits, and then sends it to itself. It does not where
// the killer is of its own process group.
func sudoRelays(u *undertaker) error {
	exe, err := findProgram("sudo")
	if err != nil {
		return err
	}
	// The repository may lie where other users may not look.
	open := filepath.Join(u.workDir, "mortal")
	if err := copyProgram(u.mortal, open); err != nil {
		return err
	}
	sudo, err := u.launch(launch{
		exe: exe, args: []string{"sudo", "-u", "nobody", open, "wait"}, attr: &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		return err
	}
	v, who, err := u.childOf(sudo)
	if err != nil {
		return err
	}
	k, err := u.hire(0)
	if err != nil {
		return err
	}
	v.markBefore()
	sudo.markBefore()
	if err := k.order("kill", sudo.PID, int(unix.SIGTERM)); err != nil {
		return err
	}
	if err := u.bury(sudo, &k.actor); err != nil {
		return err
	}
	u.attest(v, syscall.WaitStatus(sudo.StatusRaw), who)
	return nil
}

// childOf gives the victim that a parent started, once that is ready, and the parent as an actor.
func (u *undertaker) childOf(parent *victim) (*victim, *actor, error) {
	if err := parent.awaitReady(); err != nil {
		return nil, nil, err
	}
	pid, err := onlyChild(parent.PID)
	if err != nil {
		return nil, nil, err
	}
	v, err := adopt(pid)
	if err != nil {
		return nil, nil, err
	}
	who, err := readActor(parent.PID)
	return v, who, err
}

// killedByPkill names its victim by its parent and its name, so that it finds no other one.
func killedByPkill(u *undertaker) error {
	return killedBy(byProgram{
		command: []string{"dash"},
		becomes: []string{"/usr/bin/pkill", "-KILL", "-P", strconv.Itoa(os.Getpid()), "-x", "mortal"},
	})(u)
}

// timedOut lets timeout(1) wait for a victim that does not end. With --signal=KILL, timeout sends it to its whole process
// group, and so to itself: the undertaker inherits the victim. Without it, timeout sends SIGTERM, waits, and exits with 124.
func timedOut(options ...string) func(u *undertaker) error {
	return func(u *undertaker) error {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return err
		}
		timeout, err := u.startProgram("timeout", append(options, "1", u.mortal, "wait")...)
		if err != nil {
			return err
		}
		v, who, err := u.childOf(timeout)
		if err != nil {
			return err
		}
		timeout.markBefore()
		if err := awaitZombie(timeout.PID); err != nil {
			return err
		}
		if len(options) == 0 {
			u.attest(v, syscall.WaitStatus(unix.SIGTERM), who)
			return u.bury(timeout, nil)
		}
		v.ParentPID = 0 // it changes while it dies
		if err := u.bury(v, who); err != nil {
			return err
		}
		return u.bury(timeout, who)
	}
}

// superviseScript ends its child after a line of input, and prints what wait said: Python has a signal as a negative number.
const superviseScript = `import subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=-1)
print(child.stdout.readline().decode(), end='', flush=True)
input()
child.terminate()
print(-child.wait(), flush=True)`

// supervised lets a supervisor end its own child.
func supervised(u *undertaker) error {
	exe, err := findProgram("python3")
	if err != nil {
		return err
	}
	supervisor, orders, err := u.launchListening(launch{
		exe: exe, args: []string{"python3", "-c", superviseScript, u.mortal, "wait"},
	})
	if err != nil {
		return err
	}
	v, who, err := u.childOf(supervisor)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(orders); err != nil {
		return err
	}
	var signal int
	if _, err := fmt.Fscanln(supervisor.out, &signal); err != nil {
		return err
	}
	u.attest(v, syscall.WaitStatus(signal), who)
	return nil
}
