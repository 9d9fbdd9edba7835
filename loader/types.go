// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"whodunit/loader/internal/calibrate"
	"whodunit/loader/internal/exitcode"
	"whodunit/loader/internal/host"
	"whodunit/loader/internal/oldprobes"
	"whodunit/loader/internal/probes"
)

// What is not reported where the kernel does not provide its types, as check and the log say it.
const (
	withoutKfuncs   = "span contexts that processes publish are not read"
	withoutMappings = "paths of executables, user namespaces, host names of containers, login users, the memory of an OOM kill, registers and stacks of crashes are not read"
	withFile        = "a file with the kernel's types has them (--btf, WHODUNIT_BTF)"
)

func lackOf(types probes.Types) string {
	if !types.Observed() {
		return withoutKfuncs
	}
	lack := withoutMappings
	if !types.FindCgroups() {
		lack += "; cgroups, and with them services, units and containers, were not found"
	}
	if missing := types.Missing(); len(missing) > 0 {
		lack += "; these fields were not found: " + strings.Join(missing, ", ")
	}
	return lack + "; " + withFile
}

// findTypes returns the kernel's types: of the file if one is named, or the kernel's own, or what can be found of them by observing it. But for the
// kernel's own, they are verified, by the probes that are used.
func findTypes(file string, old bool) (types probes.Types, err error) {
	switch {
	case file != "":
		types, err = probes.TypesOfFile(file)
	case !probes.KernelProvidesTypes():
		types, err = observe()
	}
	if err != nil || types.Own() || probes.Require() != nil {
		return types, err
	}
	if old {
		return types, oldprobes.Verify(types)
	}
	return types, types.Verify()
}

func observe() (probes.Types, error) {
	if !host.MayObserve() {
		return probes.Types{}, exitcode.Errorf(exitcode.Permission, "this kernel (%s) has no BTF, and finding its types by observation needs CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN, CAP_SYS_BOOT and CAP_SYS_PTRACE while the loader starts: run it with sudo, use a kernel built with CONFIG_DEBUG_INFO_BTF=y, or name a file with the types of exactly this kernel (--btf, WHODUNIT_BTF)", host.KernelRelease())
	}
	found, err := calibrate.Find()
	if err != nil {
		return probes.Types{}, exitcode.Errorf(exitcode.Unavailable, "this kernel (%s) has no BTF, and its types could not be found by observation: %w; use a kernel built with CONFIG_DEBUG_INFO_BTF=y, or name a file with the types of exactly this kernel (--btf, WHODUNIT_BTF)", host.KernelRelease(), err)
	}
	spec, err := found.Offsets.Types()
	if err != nil {
		return probes.Types{}, err
	}
	return probes.CalibratedTypes(spec, found.Missing())
}
