// SPDX-License-Identifier: Apache-2.0

// Package host is what the loader asks of the machine, and of its own process, without BPF: the names of kernel functions, the
// clocks, the kernel's release and boot id, capabilities.
package host

import (
	"bytes"
	"os"

	"golang.org/x/sys/unix"
)

// BootID identifies this boot. "": not known.
func BootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(id))
}

// KernelRelease is what `uname -r` prints. "unknown": not known.
func KernelRelease() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(name.Release[:])
}
