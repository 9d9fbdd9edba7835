// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
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

// findTypes returns the kernel's types: of the file if one is named, or the kernel's own, or what was found of them by observing it, now or before
// (config.calibration). But for the kernel's own, they are verified, by the probes that are used. unused says why what was found before is not
// used; nil if it is, or if there is nothing.
func findTypes(config config) (types probes.Types, unused, err error) {
	if config.btf != "" {
		if types, err = probes.TypesOfFile(config.btf); err != nil {
			return types, nil, err
		}
		return types, nil, verify(config, types)
	}
	if probes.KernelProvidesTypes() {
		return probes.KernelTypes(), nil, nil
	}
	if types, unused, err = storedTypes(config); err != nil || unused == nil {
		return types, nil, err
	}
	if errors.Is(unused, os.ErrNotExist) {
		unused = nil
	}
	found, err := observe()
	if err == nil {
		types, err = typesOf(found.Offsets, found.Missing())
	}
	if err == nil {
		err = verify(config, types)
	}
	if err != nil && unused != nil {
		err = fmt.Errorf("%w; %s", err, notUsed(config.calibration, unused))
	}
	return types, unused, err
}

func notUsed(path string, unused error) string {
	return fmt.Sprintf("%s is not used: %v", path, unused)
}

// verify compares the records of three terminations with what is known of them, if this kernel can run the probes.
func verify(config config, types probes.Types) error {
	if probes.Require() != nil {
		return nil
	}
	if isOld(config, types) {
		return oldprobes.Verify(types, config.tracepoints)
	}
	return types.Verify()
}

// storedTypes returns the types that `calibrate` found on this kernel. unused says why they are not used.
func storedTypes(config config) (types probes.Types, unused, err error) {
	stored, unused := calibrate.ReadStored(config.calibration, host.KernelBuild())
	if unused != nil {
		return types, unused, nil
	}
	if types, unused = typesOf(stored.Offsets, stored.Missing); unused != nil {
		return types, unused, nil
	}
	var wrong *exitcode.Error
	if err = verify(config, types); errors.As(err, &wrong) {
		return types, wrong, nil
	}
	return types, nil, err
}

func typesOf(offsets calibrate.Offsets, missing []string) (probes.Types, error) {
	spec, err := offsets.Types()
	if err != nil {
		return probes.Types{}, err
	}
	return probes.CalibratedTypes(spec, missing)
}

func observe() (*calibrate.Search, error) {
	if !host.MayObserve() {
		return nil, exitcode.Errorf(exitcode.Permission, "this kernel (%s) has no BTF, and finding its types by observation needs CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN, CAP_SYS_BOOT and CAP_SYS_PTRACE: run `whodunit-loader calibrate` with sudo once, use a kernel built with CONFIG_DEBUG_INFO_BTF=y, or name a file with the types of exactly this kernel (--btf, WHODUNIT_BTF)", host.KernelRelease())
	}
	if seesPids, err := probes.SeesPids(); err == nil && !seesPids {
		return nil, exitcode.Errorf(exitcode.Unavailable, "this kernel (%s) has no BTF, and its types are found by observation only in the machine's own pid namespace: run `whodunit-loader calibrate` on the host, and let this loader read the file (--calibration, WHODUNIT_CALIBRATION)", host.KernelRelease())
	}
	found, err := calibrate.Find()
	if err != nil {
		return nil, exitcode.Errorf(exitcode.Unavailable, "this kernel (%s) has no BTF, and its types could not be found by observation: %w; use a kernel built with CONFIG_DEBUG_INFO_BTF=y, or name a file with the types of exactly this kernel (--btf, WHODUNIT_BTF)", host.KernelRelease(), err)
	}
	return found, nil
}

// calibrateKernel finds the types of a kernel without BTF, and keeps them for a loader without the privileges of observing. It does nothing where
// types of this kernel are known. It uses btf, calibration and probes of config.
func calibrateKernel(out io.Writer, config config) error {
	if config.btf != "" || probes.KernelProvidesTypes() {
		fmt.Fprintln(out, "the types of this kernel are known: nothing to find")
		return nil
	}
	if err := probes.Require(); err != nil {
		return err
	}
	types, unused, err := storedTypes(config)
	switch {
	case err != nil:
		return err
	case unused == nil && types.FindCgroups():
		fmt.Fprintf(out, "%s has the types of this kernel, and three terminations agree with them\n", config.calibration)
		return nil
	case unused != nil && !errors.Is(unused, os.ErrNotExist):
		fmt.Fprintln(out, notUsed(config.calibration, unused))
	}
	found, err := observe()
	if err != nil {
		return err
	}
	if types, err = typesOf(found.Offsets, found.Missing()); err != nil {
		return err
	}
	if err := verify(config, types); err != nil {
		return err
	}
	if err := found.Keep(host.KernelBuild()).Save(config.calibration); err != nil {
		return err
	}
	fmt.Fprintf(out, "found the types of this kernel, three terminations agree with them; kept in %s\n", config.calibration)
	return nil
}
