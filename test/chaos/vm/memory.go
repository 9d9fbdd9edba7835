// The mode `memory`: a cgroup of version 2 reaches its limit.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	cgroupRoot = "/sys/fs/cgroup"
	roleHold   = "hold"
	heldWithin = 5 * time.Minute
	// In the cgroup that reaches its limit: what stays, and what is killed for it, as its score is the highest.
	shopLimit   = 64 << 20
	innerLimit  = 128 << 20
	neighbourMB = 24
	victimMB    = 100
)

// holdMemory holds so much memory until it is killed. For a child of this program.
func holdMemory(megabytes, score string) error {
	size, err := strconv.Atoi(megabytes)
	if err != nil {
		return err
	}
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte(score), 0); err != nil {
		return err
	}
	memory := make([]byte, size<<20)
	for at := 0; at < len(memory); at += os.Getpagesize() {
		memory[at] = 1
	}
	fmt.Println("held")
	time.Sleep(time.Hour)
	return fmt.Errorf("%d MB were held for an hour", len(memory)>>20)
}

// exhaust lets /shop reach its limit: a process in a cgroup below, whose own limit is higher, asks for more than is left.
func exhaust() error {
	if err := makeCgroup("shop", shopLimit); err != nil {
		return err
	}
	if err := makeCgroup("shop/inner", innerLimit); err != nil {
		return err
	}
	inner, err := os.Open(filepath.Join(cgroupRoot, "shop/inner"))
	if err != nil {
		return err
	}
	defer inner.Close()
	neighbour, err := startHolder(inner, neighbourMB, "-500")
	if err != nil {
		return err
	}
	if err := neighbour.held(); err != nil {
		return err
	}
	emit("holder", fmt.Sprint(neighbour.command.Process.Pid))
	victim, err := startHolder(inner, victimMB, "1000")
	if err != nil {
		return err
	}
	if err := victim.ended(); err != nil {
		return err
	}
	time.Sleep(afterExec) // the service reads the cgroup while the other one is there
	if err := neighbour.command.Process.Kill(); err != nil {
		return err
	}
	if err := neighbour.ended(); err != nil {
		return err
	}
	return drain()
}

// makeCgroup makes a cgroup with a limit. Its parent has no processes, or is the root.
func makeCgroup(name string, limit int) error {
	path := filepath.Join(cgroupRoot, name)
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "cgroup.subtree_control"), []byte("+memory"), 0); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(path, "memory.max"), []byte(strconv.Itoa(limit)), 0)
}

// holder is a process that holds memory.
type holder struct {
	command                 *exec.Cmd
	said                    *bufio.Scanner
	startAfter, startBefore int64
}

func startHolder(cgroup *os.File, megabytes int, score string) (*holder, error) {
	command := exec.Command("/init", roleHold, strconv.Itoa(megabytes), score)
	command.Stderr = os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(cgroup.Fd())}
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	started := &holder{command: command, said: bufio.NewScanner(output), startAfter: time.Now().UnixNano()}
	err = command.Start()
	started.startBefore = time.Now().UnixNano()
	return started, err
}

// held waits until it holds its memory.
func (h *holder) held() error {
	late := time.AfterFunc(heldWithin, func() { h.command.Process.Signal(unix.SIGABRT) })
	defer late.Stop()
	if !h.said.Scan() {
		return fmt.Errorf("pid %d did not hold its memory", h.command.Process.Pid)
	}
	return nil
}

// ended waits until it is killed, and writes the line of the ledger.
func (h *holder) ended() error {
	h.command.Wait()
	reapedNs, err := bootNs()
	if err != nil {
		return err
	}
	status, ok := h.command.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return fmt.Errorf("pid %d was not killed: %s", h.command.Process.Pid, h.command.ProcessState)
	}
	emit("death", fmt.Sprint(h.command.Process.Pid, h.startAfter, h.startBefore, reapedNs, uint32(status)))
	return nil
}
