// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"errors"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
)

// Trial is the result of one hook on this kernel.
type Trial struct {
	Name     string
	Required bool
	Works    string // what it does if it works
	Failed   string // the step that does not work; "": the hook works
	Note     string // what is not reported without a hook that was skipped
	Err      error  // of the step that does not work
}

// TryHooks loads the probes and attaches each briefly. Nothing stays attached or pinned.
func TryHooks() []Trial {
	kernel, collection, notes, err := loadForTrial()
	if err == nil {
		defer collection.Close()
	}
	var trials []Trial
	for _, hook := range hooksHere(kernel) {
		trial := Trial{Name: hook.name, Required: hook.required, Works: "attaches"}
		note, skipped := notes[hook.name]
		switch {
		case err != nil:
			trial.Failed, trial.Err = "does not load", err
		case skipped:
			trial.Failed, trial.Note = "skipped", note
		default:
			attached, err := hook.attach(collection.Programs[hook.program])
			if err != nil {
				trial.Failed, trial.Err = "does not attach", err
			} else {
				attached.Close()
			}
		}
		trials = append(trials, trial)
	}
	if program := calibrationOf(collection); program != nil {
		trial := Trial{Name: "calibrate", Works: "finds the page cache"}
		if err := calibrate(program); err != nil {
			trial.Failed, trial.Err = "does not work", err
		}
		trials = append(trials, trial)
	}
	return trials
}

// calibrationOf returns the program that calibrate runs; nil if no stacks are copied here, or nothing could be loaded.
func calibrationOf(collection *ebpf.Collection) *ebpf.Program {
	if collection == nil {
		return nil
	}
	return collection.Programs[bpfProgCalibrate]
}

func loadForTrial() (kernel kernelFeatures, _ *ebpf.Collection, notes map[string]string, _ error) {
	spec, err := loadBpf()
	if err != nil {
		return nil, nil, nil, err
	}
	types := btf.NewCache()
	if kernel, err = featuresHere(spec, types); err != nil {
		return nil, nil, nil, err
	}
	spec.Maps[bpfMapEvents].MaxEntries = RingBytesMin
	stacks := StacksAtExit.here(kernel)
	if err := stacks.setConstants(spec); err != nil {
		return nil, nil, nil, err
	}
	collection, notes, err := newCollection(spec, kernel, ebpf.CollectionOptions{Cache: types})
	return kernel, collection, notes, err
}

// ReadsRegisters reports whether the probes can read a task's registers: bpf_task_pt_regs(), from Linux 5.15 on.
func ReadsRegisters() bool {
	return features.HaveProgramHelper(ebpf.RawTracepoint, asm.FnTaskPtRegs) == nil
}

// StacksHere returns whether, and when, the stack of a crash is copied on this kernel. The error says why it is not.
func StacksHere() (Stacks, error) {
	spec, err := loadBpf()
	if err != nil {
		return StacksOff, err
	}
	kernel, err := featuresHere(spec, btf.NewCache())
	if lack := kernel.lackForStacks(); err == nil && lack != "" {
		err = errors.New(lack)
	}
	return StacksAtExit.here(kernel), err
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
