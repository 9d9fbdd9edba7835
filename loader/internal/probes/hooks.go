// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"whodunit/loader/internal/exitcode"
	"whodunit/loader/internal/host"
)

// hook is a place in the kernel and its program. A hook that is not required only adds details to a record.
type hook struct {
	name, program string
	required      bool
	fentry        bool   // false: a raw tracepoint
	tracepoint    string // "": the name
}

// allHooks returns the hooks in the order of attaching. sched_process_exit is last, so that no record is written before facts are kept.
func allHooks() []hook {
	return []hook{
		{name: "signal_generate", program: bpfProgOnSignalGenerate, required: true},
		{name: "signal_deliver", program: bpfProgOnSignalDeliver, required: true},
		{name: "mark_victim", program: bpfProgOnMarkVictim},
		{name: "exit_mm_release", program: bpfProgOnExitMmRelease, fentry: true},
		{name: "sched_process_exec", program: bpfProgOnSchedProcessExec},
		{name: "sched_process_exit", program: bpfProgOnSchedProcessExit, required: true},
		{name: "sched_process_exit_again", program: bpfProgOnSchedProcessExitAgain, required: true, tracepoint: "sched_process_exit"},
		{name: "sched_process_exit_once_more", program: bpfProgOnSchedProcessExitOnceMore, required: true, tracepoint: "sched_process_exit"},
	}
}

// hooksHere returns the hooks that this kernel needs. From 6.16 on, the process still has its mm at sched_process_exit, so exit_mm_release is
// not needed. sched_process_exit has three programs only where tracepoints are preemptible.
func hooksHere(kernel kernelFeatures) []hook {
	preemptible := kernel[bpfVarFeaturePreemptibleTracepoints]
	unneeded := map[string]bool{
		bpfProgOnExitMmRelease:            kernel[bpfVarFeatureGroupDead],
		bpfProgOnSchedProcessExitAgain:    !preemptible,
		bpfProgOnSchedProcessExitOnceMore: !preemptible,
	}
	return slices.DeleteFunc(allHooks(), func(h hook) bool { return unneeded[h.program] })
}

func (h hook) attach(program *ebpf.Program) (link.Link, error) {
	if h.fentry {
		return link.AttachTracing(link.TracingOptions{Program: program})
	}
	return link.AttachRawTracepoint(link.RawTracepointOptions{Name: cmp.Or(h.tracepoint, h.name), Program: program})
}

var lacksHelper = regexp.MustCompile(`(?:cannot use helper|unknown func) bpf_probe_read`)

// newCollection loads the programs of hooksHere. notes has, by the hook's name, each that was skipped, with what is not reported without it.
// options should have a Cache: reading the kernel's types takes most of the time.
func newCollection(spec *ebpf.CollectionSpec, kernel kernelFeatures, options ebpf.CollectionOptions) (loaded *ebpf.Collection, notes map[string]string, err error) {
	err = withMemlock(func() (err error) {
		loaded, notes, err = loadCollection(spec, kernel, options)
		return err
	})
	return loaded, notes, err
}

// LoadCollection loads an object, and names what forbids it, with the remedy.
func LoadCollection(spec *ebpf.CollectionSpec, options ebpf.CollectionOptions) (loaded *ebpf.Collection, err error) {
	err = withMemlock(func() (err error) {
		loaded, err = ebpf.NewCollectionWithOptions(spec, options)
		return err
	})
	return loaded, err
}

func withMemlock(load func() error) error {
	memlock := rlimit.RemoveMemlock() // No effect from 5.11 on, where BPF memory is charged to the memory cgroup.
	err := load()
	switch {
	case err == nil:
		return nil
	case lacksHelper.MatchString(err.Error()):
		// Lockdown takes the helper away (bpf_base_func_proto()). Only securityfs shows the mode, and a container has none.
		return exitcode.Errorf(exitcode.Unavailable, "%s: %w", lockdownRemedy, err)
	case memlock != nil && errors.Is(err, unix.EPERM) && limitsMemlock(host.KernelRelease()):
		return exitcode.Errorf(exitcode.Permission, "raise RLIMIT_MEMLOCK, which limits BPF maps before Linux 5.11: %w; run as root, or with CAP_SYS_RESOURCE, or raise it for the loader (Docker: --ulimit memlock=-1; systemd: LimitMEMLOCK=infinity)", memlock)
	}
	return err
}

// limitsMemlock reports whether BPF maps count against RLIMIT_MEMLOCK on a kernel of this release.
func limitsMemlock(release string) bool {
	var major, minor int
	_, err := fmt.Sscanf(release, "%d.%d", &major, &minor)
	return err == nil && (major < 5 || major == 5 && minor < 11)
}

func loadCollection(spec *ebpf.CollectionSpec, kernel kernelFeatures, options ebpf.CollectionOptions) (_ *ebpf.Collection, notes map[string]string, _ error) {
	wanted, notes := map[string]bool{}, map[string]string{}
	for _, hook := range hooksHere(kernel) {
		wanted[hook.program] = true
	}
	if !kernel[bpfVarFeatureMarkVictimSizes] {
		delete(wanted, bpfProgOnMarkVictim)
		notes["mark_victim"] = "this kernel's mark_victim carries a pid only: the sizes of an OOM kill are not reported"
	}
	wanted[bpfProgCalibrate] = kernel[bpfVarFeatureMapleTree]
	for program := range spec.Programs {
		if !wanted[program] {
			delete(spec.Programs, program)
		}
	}
	if !wanted[bpfProgOnSchedProcessExitAgain] {
		spec.Maps[bpfMapProbedExits].MaxEntries = 1
	}
	if !wanted[bpfProgOnExitMmRelease] {
		spec.Maps[bpfMapMmSnapshots].MaxEntries = 1
		collection, err := ebpf.NewCollectionWithOptions(spec, options)
		return collection, notes, err
	}
	collection, err := ebpf.NewCollectionWithOptions(spec, options)
	if err == nil {
		return collection, notes, nil
	}
	// On some kernels an fentry program does not load: load the others.
	delete(spec.Programs, bpfProgOnExitMmRelease)
	notes["exit_mm_release"] = "fentry does not work on this kernel (" + firstLine(err) + "): executable and arguments of a terminated process are reported as it executed them, up to 128 and 256 bytes, its environment is not"
	collection, err = ebpf.NewCollectionWithOptions(spec, options)
	return collection, notes, err
}
