// Cases with a pid namespace.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"errors"
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

// startInit starts process 1 of a new pid namespace. It reads orders from its input and answers on its output.
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

// namespaceInit is the main function of that process. Its orders: `victim` and `killer` start one and answer its pid, `order …` passes an
// order to the last killer, `wait PID` answers the status from wait4, `exit CODE` exits.
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
		number, _ := strconv.Atoi(rest) // 0 for orders without a number
		answer := 0
		switch order {
		case "victim":
			v, err := u.startReady("wait")
			if err != nil {
				return err
			}
			v.reaped = true // `wait` or the end of the namespace reaps it
			answer = v.PID
		case "killer":
			if k, answer, err = u.launchKiller(exec.Command(u.self, roleKiller, "0")); err != nil {
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
		case "poweroff":
			return powerOff()
		}
		fmt.Println(answer)
	}
	return nil
}

// namespace is the undertaker's side of a pid namespace.
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

// member starts a victim or a killer in the namespace, and returns its pids inside and outside.
func (n *namespace) member(kind string) (vpid, pid int, err error) {
	if vpid, err = n.order(kind); err != nil {
		return 0, 0, err
	}
	pid, err = hostPID(n.first.PID, vpid)
	return vpid, pid, err
}

// inPidNamespace has a killer in a namespace send SIGTERM to the victims there. everyone: it sends it to pid -1.
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

// initAttacked: a child of the init of a namespace sends it SIGKILL, which the kernel ignores. Then a process outside sends SIGKILL.
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
	k, err := u.startKiller(0)
	if err != nil {
		return err
	}
	first.markBefore()
	if err := k.order("kill", first.PID, int(unix.SIGKILL)); err != nil {
		return err
	}
	return u.reap(first, &k.actor)
}

// hostPID finds a child of the init of a namespace by its pid in the namespace.
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

// namespaceExit ends process 1 of a namespace; the kernel then kills the other process in it. The parent of that one is the undertaker,
// outside, so that it can be waited for.
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
		k, err := u.startKiller(0)
		if err != nil {
			return err
		}
		first.markBefore()
		other.markBefore()
		if err := end(&namespace{first, orders}, k); err != nil {
			return err
		}
		if err := u.reap(other, nil); err != nil {
			return err
		}
		return u.reap(first, &k.actor)
	}
}

func initKilled(n *namespace, k *killerHandle) error {
	return k.order("kill", n.first.PID, int(unix.SIGKILL))
}

func initExits(n *namespace, _ *killerHandle) error {
	_, err := fmt.Fprintln(n.orders, "exit 3")
	return err
}

// initPowersOff: reboot(2) turns off the pid namespace of its caller, not the machine.
func initPowersOff(n *namespace, _ *killerHandle) error {
	_, err := fmt.Fprintln(n.orders, "poweroff")
	return err
}

func powerOff() error {
	if os.Getpid() != 1 {
		return errors.New("not the init of a pid namespace: the machine would be turned off")
	}
	return unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func (u *undertaker) startInNamespaceOf(pid int) (*victim, error) {
	// setns(2) changes the pid namespace only for future children of this thread.
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
