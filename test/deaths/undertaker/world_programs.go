// Programs of the machine as victims and as killers: found, started, and told apart from what they execute.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// worldVariable names the environment variable with the directory of the victims that scripts/build/world.ts compiles.
const worldVariable = "UNDERTAKER_WORLD"

// The distribution's own programs come before those that a PATH puts in front: wrappers of version managers, mostly.
var systemDirectories = []string{"/usr/bin", "/usr/sbin", "/bin", "/sbin"}

// findProgram gives the file that is executed when the program is called, behind all symbolic links.
func findProgram(name string) (string, error) {
	for _, directory := range systemDirectories {
		if path, err := filepath.EvalSymlinks(filepath.Join(directory, name)); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w: scripts/build/world.ts knows the package that has it", err)
	}
	return filepath.EvalSymlinks(path)
}

// findCompiled gives the path of a victim, or of the directory of victims, that was compiled from test/deaths/world.
func findCompiled(name string) (string, error) {
	directory := os.Getenv(worldVariable)
	if directory == "" {
		return "", fmt.Errorf("%s must name the directory of the compiled victims", worldVariable)
	}
	return filepath.EvalSymlinks(filepath.Join(directory, name))
}

// startProgram starts it as a victim. argv[0] is the name it is called by.
func (u *undertaker) startProgram(name string, args ...string) (*victim, error) {
	exe, err := findProgram(name)
	if err != nil {
		return nil, err
	}
	return u.launch(launch{exe: exe, args: append([]string{name}, args...)})
}

// launchListening starts a victim, or another process, whose input is what is written to the file.
func (u *undertaker) launchListening(l launch) (*victim, *os.File, error) {
	orders, ours, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer orders.Close()
	u.atClose = append(u.atClose, func() { _ = ours.Close() })
	l.stdin = orders
	v, err := u.launch(l)
	return v, ours, err
}

// program lets one of the machine's programs die by itself.
func program(name string, args ...string) func(u *undertaker) error {
	return func(u *undertaker) error {
		v, err := u.startProgram(name, args...)
		if err != nil {
			return err
		}
		return u.bury(v, nil)
	}
}

// compiled lets a victim of test/deaths/world die by itself.
func compiled(name string, args ...string) func(u *undertaker) error {
	return func(u *undertaker) error {
		exe, err := findCompiled(name)
		if err != nil {
			return err
		}
		v, err := u.launch(launch{exe: exe, args: append([]string{name}, args...)})
		if err != nil {
			return err
		}
		return u.bury(v, nil)
	}
}

// signalled lets a killer send the signal to one of the machine's programs, once that has printed `ready`.
func signalled(signal syscall.Signal, name string, args ...string) func(u *undertaker) error {
	return func(u *undertaker) error {
		v, err := u.startProgram(name, args...)
		if err != nil {
			return err
		}
		return u.killReady(v, signal)
	}
}

// killReady waits until the victim is ready, and lets a killer of its own kill it.
func (u *undertaker) killReady(v *victim, signal syscall.Signal) error {
	if err := v.awaitReady(); err != nil {
		return err
	}
	k, err := u.hire(0)
	if err != nil {
		return err
	}
	v.markBefore()
	if err := k.order("kill", v.PID, int(signal)); err != nil {
		return err
	}
	return u.bury(v, &k.actor)
}

// output runs a command to its end and gives what it printed, without the last newline. The error has what it complained.
func output(cmd *exec.Cmd) (string, error) {
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, said.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// attest keeps a termination as the truth whose status another process received: that process reports it, not wait4(2).
func (u *undertaker) attest(v *victim, status syscall.WaitStatus, killer *actor) {
	v.AfterUnixNs = strconv.FormatInt(wallNs(), 10)
	v.buried = true
	v.setStatus(status)
	v.Killer = killer
	u.deaths = append(u.deaths, v.death)
}

// statusOfShell is the status that a shell, a supervisor or Docker reports as one number: 128 and more is a signal.
func statusOfShell(code int) syscall.WaitStatus {
	if code > 128 {
		return syscall.WaitStatus(code - 128)
	}
	return syscall.WaitStatus(code << 8)
}

// adopt makes a victim of a living process that another process started. It keeps all that /proc has of it.
func adopt(pid int) (*victim, error) {
	v := &victim{}
	v.PID = pid
	who, err := readActor(pid)
	if err != nil {
		return nil, err
	}
	v.Exe, v.Args = who.Exe, who.Args
	parent, err := readStat(pid)
	if err != nil {
		return nil, err
	}
	v.ParentPID = parent.parent
	if v.Cgroups, err = readCgroups(pid); err != nil {
		return nil, err
	}
	v.markBefore()
	return v, v.readProc()
}

// afterOrder is a command that prints `ready`, blocks in opening the fifo until a line is written to it, and then runs the rest.
func afterOrder(fifo, what string) []string {
	return []string{"/bin/sh", "-c", fmt.Sprintf("echo ready; read _ < %s; %s", fifo, what)}
}

// awaitTrue asks again and again, and fails with the last error after a while.
func awaitTrue(what string, ask func() error) error {
	const within, pause = 20 * time.Second, 10 * time.Millisecond
	for end := time.Now().Add(within); ; time.Sleep(pause) {
		err := ask()
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s: not within %s: %w", what, within, err)
		}
	}
}

// onlyChild is the child of a process that is known to have one.
func onlyChild(parent int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", parent, parent))
	if err != nil {
		return 0, err
	}
	children := strings.Fields(string(text))
	if len(children) != 1 {
		return 0, fmt.Errorf("process %d has %d children, not one", parent, len(children))
	}
	return strconv.Atoi(children[0])
}
