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

// forBPF has the capabilities that loading and attaching probes needs. Before Linux 5.19, every bpf(2) call needs CAP_BPF if unprivileged BPF
// is disabled.
const forBPF = 1<<unix.CAP_BPF | 1<<unix.CAP_PERFMON

// Capabilities is a set of capabilities: bit n is capability n of linux/capability.h.
type Capabilities uint64

// EffectiveCapabilities returns the effective set of the calling thread.
func EffectiveCapabilities() (Capabilities, error) {
	_, data, err := capget()
	return Capabilities(data[1].Effective)<<32 | Capabilities(data[0].Effective), err
}

// AllowBPF reports whether the set suffices to load and attach the probes: CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN.
func (c Capabilities) AllowBPF() bool {
	return c&(1<<unix.CAP_SYS_ADMIN) != 0 || c&forBPF == forBPF
}

// MayMount reports whether this process may mount a file system, as far as its capabilities decide that.
func MayMount() bool {
	capabilities, err := EffectiveCapabilities()
	return err == nil && capabilities&(1<<unix.CAP_SYS_ADMIN) != 0
}

// DropPrivileges sets PR_SET_NO_NEW_PRIVS and drops the capabilities of all threads. It calls serve once without effective capabilities: serve
// makes the system calls that the loader makes from then on. If serve fails, all threads keep CAP_BPF and CAP_PERFMON. It needs a program
// without cgo.
func DropPrivileges(serve func() error) error {
	errno := onAllThreads(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0)
	if errno == unix.ENOTSUP { // syscall.AllThreadsSyscall in a program with cgo
		return errors.New("drop privileges: this loader was built with cgo, where Go cannot change all threads; build it with CGO_ENABLED=0, as `npm run build` does")
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

// succeedsWithout reports whether serve succeeds on this thread without effective capabilities. It restores them afterwards from the permitted
// set: a thread without them could not repeat the system calls of syscall.AllThreadsSyscall, which ends the program if the results of threads
// differ.
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
