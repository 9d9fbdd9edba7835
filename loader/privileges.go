// SPDX-License-Identifier: Apache-2.0

// What the loader may do: asked at the start, given up when the probes are attached.
package main

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kept is for reading the maps on kernels before 5.19, where each bpf(2) call asks for them when unprivileged BPF is off.
const kept = 1<<unix.CAP_BPF | 1<<unix.CAP_PERFMON

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
	return capabilities&(1<<unix.CAP_SYS_ADMIN) != 0 || capabilities&kept == kept
}

// dropPrivileges leaves all threads with `kept` at most, and without a way to get more: no new privileges, for children too.
func dropPrivileges() error {
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
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	for i := range data {
		set := uint32(now & kept >> (32 * i))
		data[i] = unix.CapUserData{Effective: set, Permitted: set}
	}
	if errno := onAllThreads(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0); errno != 0 {
		return fmt.Errorf("drop capabilities: %w", errno)
	}
	return nil
}

func onAllThreads(trap, a1, a2, a3 uintptr) syscall.Errno {
	_, _, err := syscall.AllThreadsSyscall(trap, a1, a2, a3)
	return err
}
