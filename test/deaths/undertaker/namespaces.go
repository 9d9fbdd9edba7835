// Cases with a pid namespace, and with a parent that dies first.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	roleInit   = "init"   // process 1 of a pid namespace
	roleParent = "parent" // a parent that dies before its child
)

// startInit starts process 1 of a new pid namespace, which obeys on its input and answers on its output.
func (u *undertaker) startInit() (*victim, io.Writer, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer reader.Close()
	u.atClose = append(u.atClose, func() { _ = writer.Close() })
	v, err := u.launch(launch{
		exe: u.self, args: []string{u.self, roleInit}, stdin: reader,
		attr: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID},
	})
	if err != nil {
		return nil, nil, err
	}
	return v, writer, v.awaitReady()
}

// namespaceInit is that process. It waits for its child itself, as the parent that it is, and tells what wait4 said.
func namespaceInit() error {
	u, err := newUndertaker()
	if err != nil {
		return err
	}
	defer u.close()
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	if !lines.Scan() {
		return lines.Err()
	}
	v, err := u.startReady("wait")
	if err != nil {
		return err
	}
	k, killerPID, err := u.startKiller(0)
	if err != nil {
		return err
	}
	fmt.Println(v.PID, killerPID)
	if !lines.Scan() {
		return lines.Err()
	}
	if err := k.order("kill", v.PID, int(unix.SIGKILL)); err != nil {
		return err
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(v.PID, &status, 0, nil); err != nil {
		return err
	}
	v.buried = true
	fmt.Println(uint32(status))
	lines.Scan() // until the undertaker has seen enough
	return lines.Err()
}

func inPidNamespace(u *undertaker) error {
	first, orders, err := u.startInit()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(orders, "start"); err != nil {
		return err
	}
	var victimVPID, killerVPID int
	if _, err := fmt.Fscanln(first.out, &victimVPID, &killerVPID); err != nil {
		return err
	}
	v := &victim{}
	if v.PID, err = hostPID(first.PID, victimVPID); err != nil {
		return err
	}
	killerPID, err := hostPID(first.PID, killerVPID)
	if err != nil {
		return err
	}
	who, err := readActor(killerPID)
	if err != nil {
		return err
	}
	v.Exe, v.Args, v.ParentPID, v.Cgroups = u.mortal, []string{"mortal", "wait"}, first.PID, u.cgroups
	if err := v.readProc(); err != nil {
		return err
	}
	v.markBefore()
	if _, err := fmt.Fprintln(orders, "kill"); err != nil {
		return err
	}
	var status uint32
	if _, err := fmt.Fscanln(first.out, &status); err != nil {
		return err
	}
	v.AfterUnixNs = strconv.FormatInt(wallNs(), 10)
	v.setStatus(syscall.WaitStatus(status))
	v.Killer = who
	u.deaths = append(u.deaths, v.death)
	return nil
}

// hostPID finds the child of a namespace's init by the pid that it has in there.
func hostPID(parent, vpid int) (int, error) {
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, entry := range entries {
		pid, _ := strconv.Atoi(filepath.Base(entry))
		s, err := readStat(pid)
		if err != nil || s.parent != parent {
			continue
		}
		if pids, err := readStatusNumbers(pid, "NSpid"); err == nil && pids[len(pids)-1] == vpid {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("no child of process %d has the pid %d in its namespace", parent, vpid)
}

// namespaceExit kills process 1 of a namespace; the kernel then kills everyone else in it. The other one's parent is the
// undertaker, outside, so that somebody is there to be told its status.
func namespaceExit(u *undertaker) error {
	first, _, err := u.startInit()
	if err != nil {
		return err
	}
	other, err := u.startInNamespaceOf(first.PID)
	if err != nil {
		return err
	}
	k, err := u.hire(0)
	if err != nil {
		return err
	}
	first.markBefore()
	other.markBefore()
	if err := k.order("kill", first.PID, int(unix.SIGKILL)); err != nil {
		return err
	}
	if err := u.bury(other, nil); err != nil {
		return err
	}
	return u.bury(first, &k.actor)
}

func (u *undertaker) startInNamespaceOf(pid int) (*victim, error) {
	// setns changes the namespace of this thread's future children only.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := enterPidNamespace(fmt.Sprintf("/proc/%d/ns/pid", pid)); err != nil {
		return nil, err
	}
	v, err := u.start("wait")
	if back := enterPidNamespace("/proc/self/ns/pid"); back != nil {
		return nil, back
	}
	if err != nil {
		return nil, err
	}
	return v, v.awaitReady()
}

func enterPidNamespace(path string) error {
	namespace, err := os.Open(path)
	if err != nil {
		return err
	}
	defer namespace.Close()
	return unix.Setns(int(namespace.Fd()), unix.CLONE_NEWPID)
}

// parentDeath lets a parent die whose child wanted SIGTERM for that case. The undertaker inherits the child.
func parentDeath(u *undertaker) error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	parent := exec.Command(u.self, roleParent)
	orders, err := parent.StdinPipe()
	if err != nil {
		return err
	}
	out, err := parent.StdoutPipe()
	if err != nil {
		return err
	}
	if err := parent.Start(); err != nil {
		return err
	}
	v := &victim{out: bufio.NewReader(out)}
	// No ParentPID: it changes in the middle of this.
	v.Exe, v.Args, v.Cgroups = u.mortal, []string{"mortal", "wait"}, u.cgroups
	line, err := v.out.ReadString('\n')
	if err != nil {
		return err
	}
	if v.PID, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		return err
	}
	who, err := readActor(parent.Process.Pid)
	if err != nil {
		return err
	}
	v.markBefore()
	if err := orders.Close(); err != nil {
		return err
	}
	if err := awaitZombie(parent.Process.Pid); err != nil { // before that the victim is not our child
		return err
	}
	if err := u.bury(v, who); err != nil {
		return err
	}
	return parent.Wait()
}

// shortLivedParent is that parent: it dies when its input ends. Its child prints nothing that is read here.
func shortLivedParent() error {
	runtime.LockOSThread() // PR_SET_PDEATHSIG is about the thread that forked
	u, err := newUndertaker()
	if err != nil {
		return err
	}
	v, err := u.launch(launch{args: []string{"mortal", "wait"}, attr: &syscall.SysProcAttr{Pdeathsig: unix.SIGTERM}})
	if err != nil {
		return err
	}
	if err := v.awaitReady(); err != nil {
		return err
	}
	fmt.Println(v.PID)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
