// SPDX-License-Identifier: Apache-2.0

// Which hooks there are, which this kernel offers, and loading the programs for them. What the kernel offers is asked of its BTF
// and by trying, never of its version.
package main

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
)

// hook is a place in the kernel and the program for it. Those that are not required only add to a record.
type hook struct {
	name, program string
	required      bool
	fentry        bool // else a raw tracepoint
}

var allHooks = []hook{
	{name: "signal_generate", program: bpfProgOnSignalGenerate, required: true},
	{name: "signal_deliver", program: bpfProgOnSignalDeliver, required: true},
	{name: "mark_victim", program: bpfProgOnMarkVictim},
	{name: "exit_mm_release", program: bpfProgOnExitMmRelease, fentry: true},
	{name: "sched_process_exit", program: bpfProgOnSchedProcessExit, required: true}, // last: a death is reported when all else is remembered
}

// hooksHere are those that make sense on this kernel: from 6.16 on, the memory is still there at sched_process_exit.
func hooksHere() []hook {
	var here []hook
	for _, hook := range allHooks {
		if hook.name != "exit_mm_release" || !kernelHasField("trace_event_raw_sched_process_exit", "group_dead") {
			here = append(here, hook)
		}
	}
	return here
}

func (h hook) attach(program *ebpf.Program) (link.Link, error) {
	if h.fentry {
		return link.AttachTracing(link.TracingOptions{Program: program})
	}
	return link.AttachRawTracepoint(link.RawTracepointOptions{Name: h.name, Program: program})
}

// newCollection loads the programs of hooksHere. notes says, by the hook's name, which was left out and what is missing for that.
func newCollection(spec *ebpf.CollectionSpec, options ebpf.CollectionOptions) (_ *ebpf.Collection, notes map[string]string, _ error) {
	if err := rlimit.RemoveMemlock(); err != nil { // does nothing from 5.11 on, where memory cgroups count instead
		return nil, nil, fmt.Errorf("raise RLIMIT_MEMLOCK, which bounds BPF maps before Linux 5.11; run as root, or with CAP_SYS_RESOURCE: %w", err)
	}
	wanted, notes := map[string]bool{}, map[string]string{}
	for _, hook := range hooksHere() {
		wanted[hook.program] = true
	}
	if !kernelHasField("trace_event_raw_mark_victim", "total_vm") {
		delete(wanted, bpfProgOnMarkVictim)
		notes["mark_victim"] = "this kernel's mark_victim carries a pid only: the sizes of an OOM kill are not reported"
	}
	for program := range spec.Programs {
		if !wanted[program] {
			delete(spec.Programs, program)
		}
	}
	if !wanted[bpfProgOnExitMmRelease] {
		spec.Maps[bpfMapLastWords].MaxEntries = 1
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

// kernelHasField asks the running kernel's BTF.
func kernelHasField(structure, field string) bool {
	kernel, err := btf.LoadKernelSpec()
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
