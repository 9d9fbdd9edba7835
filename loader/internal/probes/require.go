// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"errors"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"

	"whodunit/loader/internal/exitcode"
	"whodunit/loader/internal/host"
)

const (
	kernelBTF = "/sys/kernel/btf/vmlinux"
	// LockdownForbids is the mode of host.Lockdown in which programs may not read kernel memory.
	LockdownForbids = "confidentiality"
	lockdownRemedy  = "the kernel's lockdown mode is confidentiality, which forbids reading kernel memory; boot with lockdown=integrity at most"
)

// HasBTF reports whether the kernel provides BTF, which CO-RE needs.
func HasBTF() bool {
	_, err := os.Stat(kernelBTF)
	return err == nil
}

// Require fails if this process or this kernel cannot load the probes. The error names the remedy and has exitcode.Permission or
// exitcode.Unavailable.
func Require() error {
	capabilities, err := host.EffectiveCapabilities()
	if err != nil {
		return err
	}
	if !capabilities.AllowBPF() {
		return exitcode.Errorf(exitcode.Permission, "attaching probes needs root (or CAP_BPF and CAP_PERFMON, and CAP_SYSLOG for the names of kernel functions): run it with sudo; in a container, add these capabilities")
	}
	if forbidden := host.ReadConfinement().Forbidden(); forbidden != "" {
		return exitcode.Errorf(exitcode.Permission, "attaching probes is not possible: %s", forbidden)
	}
	if host.Lockdown() == LockdownForbids {
		return exitcode.Errorf(exitcode.Unavailable, "%s", lockdownRemedy)
	}
	if !HasBTF() {
		return exitcode.Errorf(exitcode.Unavailable, "this kernel (%s) has no BTF at %s; whodunit needs Linux 5.8 or later, built with CONFIG_DEBUG_INFO_BTF=y, as the kernels of the large distributions are", host.KernelRelease(), kernelBTF)
	}
	if err := features.HaveMapType(ebpf.RingBuf); errors.Is(err, ebpf.ErrNotSupported) {
		return exitcode.Errorf(exitcode.Unavailable, "this kernel (%s) is too old: it has no BPF ring buffer; whodunit needs Linux 5.8 or later", host.KernelRelease())
	}
	return nil
}
