// Installed programs as victims and killers: finds and starts them, and distinguishes them from what they execute.
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

// worldVariable is the environment variable with the directory of the victims that scripts/build/world.ts compiles.
const worldVariable = "UNDERTAKER_WORLD"

// systemDirectories are searched instead of PATH, which may start with wrappers of version managers.
var systemDirectories = []string{"/usr/bin", "/usr/sbin", "/bin", "/sbin"}

// findProgram returns the file that is executed for this name, with symbolic links resolved.
func findProgram(name string) (string, error) {
	for _, directory := range systemDirectories {
		if path, err := filepath.EvalSymlinks(filepath.Join(directory, name)); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w: scripts/build/world.ts names its package", err)
	}
	return filepath.EvalSymlinks(path)
}

// findCompiled returns the path of a victim, or of a directory of victims, compiled from test/deaths/world.
func findCompiled(name string) (string, error) {
	directory := os.Getenv(worldVariable)
	if directory == "" {
		return "", fmt.Errorf("%s must name the directory of the compiled victims", worldVariable)
	}
	return filepath.EvalSymlinks(filepath.Join(directory, name))
}

// startProgram starts an installed program as a victim. argv[0] is the name.
func (u *undertaker) startProgram(name string, args ...string) (*victim, error) {
	exe, err := findProgram(name)
	if err != nil {
		return nil, err
	}
	return u.launch(launch{exe: exe, args: append([]string{name}, args...)})
}

// launchListening starts a victim, or another process, and returns the file to write to its standard input.
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

// program runs an installed program that terminates by itself.
func program(name string, args ...string) func(u *undertaker) error {
	return func(u *undertaker) error {
		v, err := u.startProgram(name, args...)
		if err != nil {
			return err
		}
		return u.reap(v, nil)
	}
}

// compiled runs a victim of test/deaths/world that terminates by itself.
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
		return u.reap(v, nil)
	}
}

// signalled has a killer send the signal to an installed program after it printed `ready`.
func signalled(signal syscall.Signal, name string, args ...string) func(u *undertaker) error {
	return func(u *undertaker) error {
		v, err := u.startProgram(name, args...)
		if err != nil {
			return err
		}
		return u.killReady(v, signal)
	}
}

// killReady waits until the victim is ready, and has a new killer send it the signal.
func (u *undertaker) killReady(v *victim, signal syscall.Signal) error {
	if err := v.awaitReady(); err != nil {
		return err
	}
	k, err := u.startKiller(0)
	if err != nil {
		return err
	}
	v.markBefore()
	if err := k.order("kill", v.PID, int(signal)); err != nil {
		return err
	}
	return u.reap(v, &k.actor)
}

// output runs a command and returns its output without the last newline. The error has its standard error.
func output(cmd *exec.Cmd) (string, error) {
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, said.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// recordStatus adds a termination to the truth whose status another process received and reported.
func (u *undertaker) recordStatus(v *victim, status syscall.WaitStatus, killer *actor) {
	v.AfterUnixNs = strconv.FormatInt(wallNs(), 10)
	v.reaped = true
	v.setStatus(status)
	v.Killer = killer
	u.deaths = append(u.deaths, v.death)
}

// statusOfShell decodes the status that a shell, a supervisor or Docker reports as one number: 128 and more is a signal.
func statusOfShell(code int) syscall.WaitStatus {
	if code > 128 {
		return syscall.WaitStatus(code - 128)
	}
	return syscall.WaitStatus(code << 8)
}

// adopt makes a victim of a running process that another process started. It reads everything from /proc.
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

// afterOrder is a command that prints `ready`, waits for a line on the FIFO, and then runs the rest.
func afterOrder(fifo, what string) []string {
	return []string{"/bin/sh", "-c", fmt.Sprintf("echo ready; read _ < %s; %s", fifo, what)}
}

// awaitTrue repeats ask until it succeeds, and returns the last error after a timeout.
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

// onlyChild returns the child of a process that has exactly one.
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
