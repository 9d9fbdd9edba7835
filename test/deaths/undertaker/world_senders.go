// Installed programs that send signals: shells, kill(1), pkill, sudo, su, timeout, a supervisor.
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

// killScript prints the pid of the shell, waits for a line, and then runs what follows.
const killScript = "echo $$; read _; "

// byProgram describes how an installed program sends the signal.
type byProgram struct {
	command []string // prints the pid of the sender, then waits for a line
	becomes []string // what the sender executes; empty: it sends the signal itself
	victim  uint32   // the user of the victim
}

// pidWord stands for the victim's pid in a command.
const pidWord = "VICTIM"

// killedBy has the program kill a victim.
func killedBy(how byProgram) func(u *undertaker) error {
	return func(u *undertaker) error {
		v, err := u.startReady("as", fmt.Sprint(how.victim), "wait")
		if err != nil {
			return err
		}
		command, becomes := withVictimPID(v, how.command), withVictimPID(v, how.becomes)
		if len(becomes) > 0 {
			command = append(command, "-c", killScript+"exec "+strings.Join(becomes, " "))
		}
		return u.killWith(v, command, becomes)
	}
}

func withVictimPID(v *victim, words []string) []string {
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
		return fmt.Errorf("%v printed no pid: %w", command, err)
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
	if err := u.reap(v, who); err != nil {
		return err
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(started.PID, &status, 0, nil); err != nil {
		return err
	}
	started.reaped = true
	if status != 0 {
		return fmt.Errorf("%v ended with status %#x", command, uint32(status))
	}
	return nil
}

// sudoRelays: a killer sends a signal to sudo, which forwards it to its command, waits, and then sends it to itself. sudo does not forward
// signals from its own process group.
func sudoRelays(u *undertaker) error {
	exe, err := findProgram("sudo")
	if err != nil {
		return err
	}
	// Other users may have no access to the directory of the repository.
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
	k, err := u.startKiller(0)
	if err != nil {
		return err
	}
	v.markBefore()
	sudo.markBefore()
	if err := k.order("kill", sudo.PID, int(unix.SIGTERM)); err != nil {
		return err
	}
	if err := u.reap(sudo, &k.actor); err != nil {
		return err
	}
	u.recordStatus(v, syscall.WaitStatus(sudo.StatusRaw), who)
	return nil
}

// childOf returns the ready victim that a parent started, and the parent as an actor.
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

// killedByPkill selects the victim by parent and name, so that pkill finds no other process.
func killedByPkill(u *undertaker) error {
	return killedBy(byProgram{
		command: []string{"dash"},
		becomes: []string{"/usr/bin/pkill", "-KILL", "-P", strconv.Itoa(os.Getpid()), "-x", "mortal"},
	})(u)
}

// timedOut: timeout(1) runs a victim that does not exit. With --signal=KILL, timeout kills its whole process group and so itself; the
// undertaker becomes the parent of the victim. Without it, timeout sends SIGTERM, waits, and exits with 124.
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
			u.recordStatus(v, syscall.WaitStatus(unix.SIGTERM), who)
			return u.reap(timeout, nil)
		}
		v.ParentPID = 0 // it changes during the termination
		if err := u.reap(v, who); err != nil {
			return err
		}
		return u.reap(timeout, who)
	}
}

// superviseScript terminates its child after a line of input, and prints its status: Python has a signal as a negative number.
const superviseScript = `import subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=-1)
print(child.stdout.readline().decode(), end='', flush=True)
input()
child.terminate()
print(-child.wait(), flush=True)`

// supervised: a supervisor terminates its child.
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
	u.recordStatus(v, syscall.WaitStatus(signal), who)
	return nil
}
