// SPDX-License-Identifier: Apache-2.0

// Package host reads from the machine and the loader's own process what needs no BPF: names of kernel functions, clocks, release, boot id,
// capabilities.
package host

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

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
	release, _ := kernel()
	return release
}

// KernelSleepsInProbes reports whether a program of this kernel may sleep where it must not: with PREEMPT_RT before Linux 6.12, in a BPF ring buffer
// ("bpf: Use raw_spinlock_t in ringbuf"). What other maps do on kernels without one was not tried.
func KernelSleepsInProbes() bool { return sleepsInProbes(kernel()) }

func sleepsInProbes(release, version string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return false
	}
	words := strings.Fields(version)
	isRealTime := slices.Contains(words, "PREEMPT_RT") || slices.Contains(words, "RT") // "PREEMPT RT" with older patches
	return isRealTime && (major < 6 || major == 6 && minor < 12)
}

// kernel returns what `uname -r` and `uname -v` print, "unknown" if uname(2) fails.
func kernel() (release, version string) {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return "unknown", "unknown"
	}
	return unix.ByteSliceToString(name.Release[:]), unix.ByteSliceToString(name.Version[:])
}
