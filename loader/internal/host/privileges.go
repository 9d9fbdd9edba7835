// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// forBPF are the capabilities to load and attach probes. Before Linux 5.19, each bpf(2) call needs them if unprivileged BPF is off.
const forBPF = 1<<unix.CAP_BPF | 1<<unix.CAP_PERFMON

// Capabilities is a set of capabilities as bits.
type Capabilities uint64

// EffectiveCapabilities returns the set of this thread.
func EffectiveCapabilities() (Capabilities, error) {
	_, data, err := capget()
	return Capabilities(data[1].Effective)<<32 | Capabilities(data[0].Effective), err
}

// AllowBPF reports whether the set suffices to load and attach the probes: CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN.
func (c Capabilities) AllowBPF() bool {
	return c&(1<<unix.CAP_SYS_ADMIN) != 0 || c&forBPF == forBPF
}

// DropPrivileges leaves all threads without capabilities and with PR_SET_NO_NEW_PRIVS, children included. It calls serve, which is
// what the loader does from then on; if that fails without capabilities, all threads keep CAP_BPF and CAP_PERFMON.
func DropPrivileges(serve func() error) error {
	errno := onAllThreads(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0)
	if errno == unix.ENOTSUP { // syscall.AllThreadsSyscall in a program with cgo
		return errors.New("drop privileges: this loader was built with cgo, with which Go cannot do that; build it with CGO_ENABLED=0, as `npm run build` does")
	}
	if errno != 0 {
		return fmt.Errorf("forbid new privileges: %w", errno)
	}
	now, err := EffectiveCapabilities()
	if err != nil {
		return err
	}
	without, err := succeedsWithout(serve)
	if err != nil {
		return err
	}
	var kept Capabilities
	if !without {
		kept = now & forBPF
	}
	header, data := capabilitySet(kept)
	if errno := onAllThreads(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0); errno != 0 {
		return fmt.Errorf("drop capabilities: %w", errno)
	}
	return nil
}

// succeedsWithout calls serve on this thread, without effective capabilities meanwhile. It keeps the permitted ones and takes them up
// again: a thread that had dropped them for good could not repeat what the others do afterwards, and Go ends the program if the results of
// threads differ.
func succeedsWithout(serve func() error) (bool, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	header, before, err := capget()
	if err != nil {
		return false, err
	}
	without := before
	without[0].Effective, without[1].Effective = 0, 0
	if err := unix.Capset(&header, &without[0]); err != nil {
		return false, fmt.Errorf("try without capabilities: %w", err)
	}
	served := serve()
	if err := unix.Capset(&header, &before[0]); err != nil {
		return false, fmt.Errorf("restore capabilities: %w", err)
	}
	return served == nil, nil
}

func capget() (header unix.CapUserHeader, data [2]unix.CapUserData, err error) {
	header.Version = unix.LINUX_CAPABILITY_VERSION_3
	if err := unix.Capget(&header, &data[0]); err != nil {
		return header, data, fmt.Errorf("read capabilities: %w", err)
	}
	return header, data, nil
}

func capabilitySet(bits Capabilities) (header unix.CapUserHeader, data [2]unix.CapUserData) {
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
