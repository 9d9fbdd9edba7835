// SPDX-License-Identifier: Apache-2.0

// What the loader may do: asked at the start, given up when the probes are attached.
package main

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// forBPF loads and attaches the probes. Before Linux 5.19, each bpf(2) call asks for them when unprivileged BPF is off.
const forBPF = 1<<unix.CAP_BPF | 1<<unix.CAP_PERFMON

// effectiveCapabilities returns the set of this thread as bits.
func effectiveCapabilities() (uint64, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fmt.Errorf("read capabilities: %w", err)
	}
	return uint64(data[1].Effective)<<32 | uint64(data[0].Effective), nil
}

// mayLoad says whether the capabilities suffice to load and attach the probes: CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN.
func mayLoad(capabilities uint64) bool {
	return capabilities&(1<<unix.CAP_SYS_ADMIN) != 0 || capabilities&forBPF == forBPF
}

// dropPrivileges leaves all threads without a capability, or with those for BPF where `serve`, what the loader does from now on,
// fails without them; and without a way to get more: no new privileges, for children too.
func dropPrivileges(serve func() error) error {
	errno := onAllThreads(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0)
	if errno == unix.ENOTSUP { // syscall.AllThreadsSyscall in a program with cgo
		return fmt.Errorf("this loader was built with cgo, and cannot drop its privileges; build it with CGO_ENABLED=0, as `npm run build` does")
	}
	if errno != 0 {
		return fmt.Errorf("forbid new privileges: %w", errno)
	}
	now, err := effectiveCapabilities()
	if err != nil {
		return err
	}
	without, err := succeedsWithout(serve)
	if err != nil {
		return err
	}
	var kept uint64
	if !without {
		kept = now & forBPF
	}
	header, data := capabilitySet(kept)
	if errno := onAllThreads(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0); errno != 0 {
		return fmt.Errorf("drop capabilities: %w", errno)
	}
	return nil
}

// succeedsWithout tries on this thread, which has no capability in effect meanwhile. It keeps what it may have, and takes it up again: a
// thread that had given all up for good could not do what the others do afterwards, and Go ends the program if threads differ.
func succeedsWithout(serve func() error) (bool, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var before, without [2]unix.CapUserData
	if err := unix.Capget(&header, &before[0]); err != nil {
		return false, fmt.Errorf("read capabilities: %w", err)
	}
	without = before
	without[0].Effective, without[1].Effective = 0, 0
	if err := unix.Capset(&header, &without[0]); err != nil {
		return false, fmt.Errorf("try without capabilities: %w", err)
	}
	served := serve()
	if err := unix.Capset(&header, &before[0]); err != nil {
		return false, fmt.Errorf("take the capabilities up again: %w", err)
	}
	return served == nil, nil
}

func capabilitySet(bits uint64) (header unix.CapUserHeader, data [2]unix.CapUserData) {
	header.Version = unix.LINUX_CAPABILITY_VERSION_3
	for i := range data {
		set := uint32(bits >> (32 * i))
		data[i] = unix.CapUserData{Effective: set, Permitted: set}
	}
	return header, data
}

func onAllThreads(trap, a1, a2, a3 uintptr) syscall.Errno {
	_, _, err := syscall.AllThreadsSyscall(trap, a1, a2, a3)
	return err
}
