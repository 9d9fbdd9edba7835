// Cases that need a whole machine: one that may run out of memory, or one with the memory controller on cgroup v2. They run in the virtual
// machines of the kernel matrix.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

var machineCases = []deathCase{
	{"host-out-of-memory", hostOutOfMemory},
	{"out-of-memory-group", outOfMemoryGroup},
	{"kernel-thread", kernelThread},
}

// hostOutOfMemory has a process without a cgroup limit use up the memory of the machine. Another process first allocates most of it with
// MAP_POPULATE, because touching page after page is slow under emulation.
func hostOutOfMemory(u *undertaker) error {
	var machine unix.Sysinfo_t
	if err := unix.Sysinfo(&machine); err != nil {
		return err
	}
	full, err := u.newChannel()
	if err != nil {
		return err
	}
	const most = 3.0 / 4
	fill := allocate(uintptr(float64(machine.Freeram) * float64(machine.Unit) * most))
	if _, err := u.bare(0, append([]call{fill, full.send(u)}, u.waitLong()...)...); err != nil {
		return err
	}
	if err := full.await(); err != nil {
		return err
	}
	v, err := u.startScored(oomScoreMax, "eat-memory")
	if err != nil {
		return err
	}
	return u.reapOOM(v)
}

// outOfMemoryGroup: memory.oom.group is set, so the kernel kills the neighbour of the victim too.
func outOfMemoryGroup(u *undertaker) error {
	directory, err := u.limitedCgroup()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(directory, "memory.oom.group"), []byte("1"), 0); err != nil {
		return fmt.Errorf("cgroup v2 with the memory controller is needed: %w", err)
	}
	neighbour, err := u.startReady("in-cgroup", directory, "wait")
	if err != nil {
		return err
	}
	eater, err := u.start("in-cgroup", directory, "eat-memory")
	if err != nil {
		return err
	}
	for _, v := range []*victim{eater, neighbour} {
		v.Cgroups = []string{"/" + filepath.Base(directory)}
		if err := u.reapOOM(v); err != nil {
			return err
		}
	}
	return nil
}

// kernelThread has a kernel thread exit: psimon (kernel/sched/psi.c) runs while a process polls for pressure. It is not a process
// that a parent waits for.
func kernelThread(u *undertaker) error {
	const name = "psimon"
	watch, err := os.OpenFile("/proc/pressure/cpu", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer watch.Close()
	if _, err := watch.WriteString("some 150000 1000000\x00"); err != nil {
		return err
	}
	v := &victim{}
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		pid, _ := strconv.Atoi(filepath.Base(entry))
		if s, err := readStat(pid); err == nil && s.comm == name {
			v.PID = pid
		}
	}
	if v.PID == 0 {
		return fmt.Errorf("there is no kernel thread named %s", name)
	}
	if err := v.readProc(); err != nil {
		return err
	}
	v.markBefore()
	if err := watch.Close(); err != nil {
		return err
	}
	for err == nil {
		time.Sleep(zombiePoll)
		_, err = readStat(v.PID)
	}
	v.AfterUnixNs = strconv.FormatInt(wallNs(), 10)
	u.deaths = append(u.deaths, v.death)
	return nil
}
