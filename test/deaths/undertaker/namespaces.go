// Cases with a pid namespace.
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

const roleInit = "init" // process 1 of a pid namespace

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

// namespaceInit is that process. It obeys `victim` and `killer`, which start one and answer its pid, `order …` to the last killer,
// `wait PID`, which answers what wait4 said to it as the parent that it is, and `exit CODE`.
func namespaceInit() error {
	u, err := newUndertaker()
	if err != nil {
		return err
	}
	defer u.close()
	fmt.Println("ready")
	var k *killerHandle
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		order, rest, _ := strings.Cut(lines.Text(), " ")
		number, _ := strconv.Atoi(rest) // where there is none, none is needed
		answer := 0
		switch order {
		case "victim":
			v, err := u.startReady("wait")
			if err != nil {
				return err
			}
			v.buried = true // by `wait`, or with the namespace
			answer = v.PID
		case "killer":
			if k, answer, err = u.startKiller(exec.Command(u.self, roleKiller, "0")); err != nil {
				return err
			}
		case "order":
			if err := k.order(rest); err != nil {
				return err
			}
		case "wait":
			var status syscall.WaitStatus
			if _, err := syscall.Wait4(number, &status, 0, nil); err != nil {
				return err
			}
			answer = int(status)
		case "exit":
			os.Exit(number)
		}
		fmt.Println(answer)
	}
	return nil
}

// namespace is a pid namespace as its init sees it, from outside.
type namespace struct {
	first  *victim
	orders io.Writer
}

func (n *namespace) order(words ...any) (int, error) {
	if _, err := fmt.Fprintln(n.orders, words...); err != nil {
		return 0, err
	}
	var answer int
	_, err := fmt.Fscanln(n.first.out, &answer)
	return answer, err
}

// member starts a victim or a killer in there, and returns its pids inside and outside.
func (n *namespace) member(kind string) (vpid, pid int, err error) {
	if vpid, err = n.order(kind); err != nil {
		return 0, 0, err
	}
	pid, err = hostPID(n.first.PID, vpid)
	return vpid, pid, err
}

// inPidNamespace lets the killer of a namespace obey there, with the signal SIGTERM. everyone: it sends it to pid -1.
func inPidNamespace(victims int, everyone bool) func(u *undertaker) error {
	return func(u *undertaker) error {
		first, orders, err := u.startInit()
		if err != nil {
			return err
		}
		n := &namespace{first, orders}
		vpids := make([]int, victims)
		dead := make([]*victim, victims)
		for i := range victims {
			v := &victim{}
			if vpids[i], v.PID, err = n.member("victim"); err != nil {
				return err
			}
			v.Exe, v.Args, v.ParentPID, v.Cgroups = u.mortal, []string{"mortal", "wait"}, first.PID, u.cgroups
			if err := v.readProc(); err != nil {
				return err
			}
			dead[i] = v
		}
		_, killerPID, err := n.member("killer")
		if err != nil {
			return err
		}
		who, err := readActor(killerPID)
		if err != nil {
			return err
		}
		target := vpids[0]
		if everyone {
			target = -1
		}
		for _, v := range dead {
			v.markBefore()
		}
		if _, err := n.order("order kill", target, int(unix.SIGTERM)); err != nil {
			return err
		}
		for i, v := range dead {
			status, err := n.order("wait", vpids[i])
			if err != nil {
				return err
			}
			v.AfterUnixNs = strconv.FormatInt(wallNs(), 10)
			v.setStatus(syscall.WaitStatus(status))
			v.Killer = who
			u.deaths = append(u.deaths, v.death)
		}
		return nil
	}
}

// initAttacked lets a child of a namespace's init send it SIGKILL, which the kernel ignores; then a process outside does.
func initAttacked(u *undertaker) error {
	first, orders, err := u.startInit()
	if err != nil {
		return err
	}
	n := &namespace{first, orders}
	if _, err := n.order("killer"); err != nil {
		return err
	}
	if _, err := n.order("order kill 1", int(unix.SIGKILL)); err != nil {
		return err
	}
	k, err := u.hire(0)
	if err != nil {
		return err
	}
	first.markBefore()
	if err := k.order("kill", first.PID, int(unix.SIGKILL)); err != nil {
		return err
	}
	return u.bury(first, &k.actor)
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

// namespaceExit ends process 1 of a namespace; the kernel then kills everyone else in it. The other one's parent is the
// undertaker, outside, so that a process is there to wait for it.
func namespaceExit(end func(n *namespace, k *killerHandle) error) func(u *undertaker) error {
	return func(u *undertaker) error {
		first, orders, err := u.startInit()
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
		if err := end(&namespace{first, orders}, k); err != nil {
			return err
		}
		if err := u.bury(other, nil); err != nil {
			return err
		}
		return u.bury(first, &k.actor)
	}
}

func initKilled(n *namespace, k *killerHandle) error {
	return k.order("kill", n.first.PID, int(unix.SIGKILL))
}

func initExits(n *namespace, _ *killerHandle) error {
	_, err := fmt.Fprintln(n.orders, "exit 3")
	return err
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
