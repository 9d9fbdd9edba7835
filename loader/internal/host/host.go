// SPDX-License-Identifier: Apache-2.0

// Package host reads from the machine and the loader's own process what needs no BPF: names of kernel functions, clocks, release, boot id,
// capabilities.
package host

import (
	"bytes"
	"os"

	"golang.org/x/sys/unix"
)

// BootID returns the UUID of this boot, "" if it cannot be read.
func BootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(id))
}

// KernelRelease returns what `uname -r` prints, "unknown" if uname(2) fails.
func KernelRelease() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(name.Release[:])
}
