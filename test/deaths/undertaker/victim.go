// Starts victims and reaps them. The truth about each is assembled here.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mortalVariable is the environment variable with the path of examples/mortal.
const mortalVariable = "UNDERTAKER_MORTAL"

// workDirVariable is the environment variable with the work directory. An undertaker that another one started uses the same.
const workDirVariable = "UNDERTAKER_WORK_DIR"

type undertaker struct {
	mortal    string // the victims' executable
	self      string // this executable, which is also the killer's
	workDir   string // for cores and temporary files
	cgroups   []string
	deaths    []death
	discarded []death // not nil, so that JSON has an empty list
	atClose   []func()
	held      []any // memory that the calls of bare processes point to
	closing   sync.Once
}

// victim is a process that will terminate. Only reap and reapUnrecorded wait for it.
type victim struct {
	death
	out    *bufio.Reader
	reaped bool
}

func newUndertaker() (*undertaker, error) {
	mortal, err := filepath.EvalSymlinks(os.Getenv(mortalVariable))
	if err == nil && mortal == "" {
		err = os.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("%s must name the built examples/mortal: %w", mortalVariable, err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cgroups, err := readCgroups(os.Getpid())
	if err != nil {
		return nil, err
	}
	u := &undertaker{mortal: mortal, self: self, cgroups: cgroups, discarded: []death{}}
	if u.workDir = os.Getenv(workDirVariable); u.workDir != "" {
		return u, nil
	}
	if u.workDir, err = os.MkdirTemp("", "undertaker-"); err != nil {
		return nil, err
	}
	u.atClose = append(u.atClose, func() { _ = os.RemoveAll(u.workDir) })
	if err := os.Chmod(u.workDir, 0o777); err != nil { // a victim may run as another user
		return nil, err
	}
	return u, os.Setenv(workDirVariable, u.workDir)
}

// close kills remaining processes and removes files and cgroups. It may be called twice.
func (u *undertaker) close() {
	u.closing.Do(func() {
		for i := len(u.atClose) - 1; i >= 0; i-- {
			u.atClose[i]()
		}
	})
}

// launch describes how a victim is started.
type launch struct {
	exe   string // empty: mortal
	args  []string
	env   []string // added to the undertaker's own
	attr  *syscall.SysProcAttr
	stdin *os.File // nil: the undertaker's own
}

// start runs mortal with these arguments.
func (u *undertaker) start(args ...string) (*victim, error) {
	return u.launch(launch{args: append([]string{"mortal"}, args...)})
}

// startReady runs mortal and waits until it prints `ready`.
func (u *undertaker) startReady(args ...string) (*victim, error) {
	v, err := u.start(args...)
	if err != nil {
		return nil, err
	}
	return v, v.awaitReady()
}

// launch uses ForkExec, because os.Process would wait for the child itself.
func (u *undertaker) launch(l launch) (*victim, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer writer.Close()
	if l.exe == "" {
		l.exe = u.mortal
	}
	stdin := os.Stdin.Fd()
	if l.stdin != nil {
		stdin = l.stdin.Fd()
	}
	v := &victim{out: bufio.NewReader(reader)}
	v.Exe, v.Args, v.ParentPID, v.Cgroups = l.exe, l.args, os.Getpid(), u.cgroups
	v.markBefore()
	v.PID, err = syscall.ForkExec(l.exe, l.args, &syscall.ProcAttr{
		Dir:   u.workDir,
		Env:   append(os.Environ(), l.env...),
		Files: []uintptr{stdin, writer.Fd(), os.Stderr.Fd()},
		Sys:   l.attr,
	})
	if err != nil {
		return nil, fmt.Errorf("start %v: %w", l.args, err)
	}
	u.atClose = append(u.atClose, func() { _ = reader.Close() })
	u.killAtClose(v)
	return v, nil
}

// killAtClose has close kill a victim that was not reaped.
func (u *undertaker) killAtClose(v *victim) {
	u.atClose = append(u.atClose, func() {
		if !v.reaped {
			_ = unix.Kill(v.PID, unix.SIGKILL)
			_, _ = syscall.Wait4(v.PID, nil, 0, nil)
		}
	})
}

// markBefore records a time at which the victim has not terminated yet.
func (v *victim) markBefore() { v.BeforeUnixNs = strconv.FormatInt(wallNs(), 10) }

func (v *victim) awaitReady() error {
	line, err := v.out.ReadString('\n')
	if err != nil || line != "ready\n" {
		return fmt.Errorf("victim %d (%v) is not ready: %q, %w", v.PID, v.Args, line, err)
	}
	return nil
}

// reap waits for the termination, reads /proc of the zombie, and adds the result to the truth.
func (u *undertaker) reap(v *victim, killer *actor) error {
	if err := awaitZombie(v.PID); err != nil {
		return err
	}
	v.AfterUnixNs = strconv.FormatInt(wallNs(), 10)
	if err := v.readProc(); err != nil {
		return err
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(v.PID, &status, 0, nil); err != nil {
		return fmt.Errorf("wait4(%d): %w", v.PID, err)
	}
	v.reaped = true
	v.setStatus(status)
	v.Killer = killer
	u.deaths = append(u.deaths, v.death)
	return nil
}

// reapUnrecorded waits for a termination that is not part of the truth.
func (v *victim) reapUnrecorded() error {
	_, err := syscall.Wait4(v.PID, nil, 0, nil)
	v.reaped = err == nil
	return err
}

// discard moves the terminations so far to discarded: the attempt at the case failed.
func (u *undertaker) discard() {
	u.discarded = append(u.discarded, u.deaths...)
	u.deaths = nil
}

// awaitZombie waits for the termination without reaping: waitid(2) with WNOWAIT.
func awaitZombie(pid int) error {
	for {
		var info [128]byte
		_, _, errno := unix.Syscall6(unix.SYS_WAITID, unix.P_PID, uintptr(pid), uintptr(unsafe.Pointer(&info)),
			unix.WEXITED|unix.WNOWAIT, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return fmt.Errorf("waitid(%d): %w", pid, errno)
		}
		return nil
	}
}

// readProc reads the parts of /proc that a zombie still has: name, start time, user, pid in its namespace.
func (v *victim) readProc() error {
	s, err := readStat(v.PID)
	if err != nil {
		return err
	}
	uids, err := readStatusNumbers(v.PID, "Uid")
	if err != nil {
		return err
	}
	pids, err := readStatusNumbers(v.PID, "NSpid")
	if err != nil {
		return err
	}
	v.Comm, v.UID, v.RealUID, v.VPID = s.comm, uids[effective], uids[realUser], pids[len(pids)-1]
	v.StartUnixNs, v.TickNs = strconv.FormatInt(startWallNs(s.startTicks), 10), tickNs
	return nil
}
