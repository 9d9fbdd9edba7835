// SPDX-License-Identifier: Apache-2.0

// Which hooks there are, which this kernel offers, and loading the programs for them. What the kernel offers is asked of its BTF
// and by trying, never of its version.
package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
)

// hook is a place in the kernel and the program for it. Those that are not required only add to a record.
type hook struct {
	name, program string
	required      bool
	fentry        bool   // else a raw tracepoint
	tracepoint    string // if it is not the name
}

var allHooks = []hook{
	{name: "signal_generate", program: bpfProgOnSignalGenerate, required: true},
	{name: "signal_deliver", program: bpfProgOnSignalDeliver, required: true},
	{name: "mark_victim", program: bpfProgOnMarkVictim},
	{name: "exit_mm_release", program: bpfProgOnExitMmRelease, fentry: true},
	{name: "sched_process_exec", program: bpfProgOnSchedProcessExec},
	{name: "sched_process_exit", program: bpfProgOnSchedProcessExit, required: true}, // last: a death is reported when all else is remembered
	{name: "sched_process_exit_again", program: bpfProgOnSchedProcessExitAgain, required: true, tracepoint: "sched_process_exit"},
	{name: "sched_process_exit_once_more", program: bpfProgOnSchedProcessExitOnceMore, required: true, tracepoint: "sched_process_exit"},
}

// hooksHere are those that make sense on this kernel: from 6.16 on, the memory is still there at sched_process_exit; and it is watched
// three times only where tracepoints may be preempted.
func hooksHere(types *btf.Cache) []hook {
	preemptible := kernelHasType(types, "class_srcu_fast_notrace_t")
	unneeded := map[string]bool{
		bpfProgOnExitMmRelease:            kernelHasField(types, "trace_event_raw_sched_process_exit", "group_dead"),
		bpfProgOnSchedProcessExitAgain:    !preemptible,
		bpfProgOnSchedProcessExitOnceMore: !preemptible,
	}
	return slices.DeleteFunc(slices.Clone(allHooks), func(h hook) bool { return unneeded[h.program] })
}

func (h hook) attach(program *ebpf.Program) (link.Link, error) {
	if h.fentry {
		return link.AttachTracing(link.TracingOptions{Program: program})
	}
	return link.AttachRawTracepoint(link.RawTracepointOptions{Name: cmp.Or(h.tracepoint, h.name), Program: program})
}

// newCollection loads the programs of hooksHere. notes says, by the hook's name, which was left out and what is missing for that.
// options have a Cache: reading the kernel's types takes most of the time.
func newCollection(spec *ebpf.CollectionSpec, options ebpf.CollectionOptions) (_ *ebpf.Collection, notes map[string]string, _ error) {
	if err := rlimit.RemoveMemlock(); err != nil { // does nothing from 5.11 on, where memory cgroups count instead
		return nil, nil, fmt.Errorf("raise RLIMIT_MEMLOCK, which bounds BPF maps before Linux 5.11; run as root, or with CAP_SYS_RESOURCE: %w", err)
	}
	wanted, notes := map[string]bool{}, map[string]string{}
	for _, hook := range hooksHere(options.Cache) {
		wanted[hook.program] = true
	}
	if !kernelHasField(options.Cache, "trace_event_raw_mark_victim", "total_vm") {
		delete(wanted, bpfProgOnMarkVictim)
		notes["mark_victim"] = "this kernel's mark_victim carries a pid only: the sizes of an OOM kill are not reported"
	}
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
	// fentry fails to load on kernels that claim to have it: go on without.
	delete(spec.Programs, bpfProgOnExitMmRelease)
	notes["exit_mm_release"] = "fentry does not work here (" + firstLine(err) + "): executable, arguments and environment of the dead are not known"
	collection, err = ebpf.NewCollectionWithOptions(spec, options)
	return collection, notes, err
}

// kernelHasType asks the running kernel's BTF.
func kernelHasType(types *btf.Cache, name string) bool {
	kernel, err := types.Kernel()
	if err != nil {
		return false
	}
	_, err = kernel.AnyTypeByName(name)
	return err == nil
}

// kernelHasField asks the running kernel's BTF.
func kernelHasField(types *btf.Cache, structure, field string) bool {
	kernel, err := types.Kernel()
	if err != nil {
		return false
	}
	var found *btf.Struct
	if err := kernel.TypeByName(structure, &found); err != nil {
		return false
	}
	for _, member := range found.Members {
		if member.Name == field {
			return true
		}
	}
	return false
}
