// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"errors"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"

	"whodunit/loader/internal/exitcode"
	"whodunit/loader/internal/host"
)

const (
	// LockdownForbids is the mode of host.Lockdown in which programs may not read kernel memory.
	LockdownForbids = "confidentiality"
	lockdownRemedy  = "the kernel's lockdown mode is confidentiality, which forbids reading kernel memory; boot with lockdown=integrity at most"
)

// HasRingBuffer reports whether this kernel has the map by which the probes of this package report. If that cannot be tried, it does.
func HasRingBuffer() bool {
	return !errors.Is(features.HaveMapType(ebpf.RingBuf), ebpf.ErrNotSupported)
}

// Require fails if this process or this kernel cannot load probes, whatever types they are relocated by (Types). The error names the remedy and has exitcode.Permission or
// exitcode.Unavailable.
func Require() error {
	capabilities, err := host.EffectiveCapabilities()
	if err != nil {
		return err
	}
	if !capabilities.AllowBPF() {
		return exitcode.Errorf(exitcode.Permission, "attaching probes needs root (or CAP_BPF and CAP_PERFMON, before Linux 5.8 CAP_SYS_ADMIN, and CAP_SYSLOG for the names of kernel functions): run it with sudo; in a container, add these capabilities")
	}
	if forbidden := host.ReadConfinement().Forbidden(); forbidden != "" {
		return exitcode.Errorf(exitcode.Permission, "attaching probes is not possible: %s", forbidden)
	}
	if host.Lockdown() == LockdownForbids {
		return exitcode.Errorf(exitcode.Unavailable, "%s", lockdownRemedy)
	}
	if host.KernelSleepsInProbes() {
		return exitcode.Errorf(exitcode.Unavailable, "this kernel (%s) is built with PREEMPT_RT, and before Linux 6.12 probes may sleep there, in hooks that must not (a BPF ring buffer does); use Linux 6.12 or later, or a kernel without PREEMPT_RT", host.KernelRelease())
	}
	return nil
}
