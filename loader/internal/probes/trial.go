// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"errors"
	"strings"

	"github.com/cilium/ebpf"
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
func TryHooks(types Types) []Trial {
	kernel, collection, notes, err := loadForTrial(types.opened())
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

func loadForTrial(types Types) (kernel kernelFeatures, _ *ebpf.Collection, notes map[string]string, _ error) {
	spec, err := loadBpf()
	if err != nil {
		return nil, nil, nil, err
	}
	if kernel, err = featuresHere(spec, types); err != nil {
		return nil, nil, nil, err
	}
	spec.Maps[bpfMapEvents].MaxEntries = RingBytesMin
	stacks := StacksAtExit.here(kernel)
	if err := errors.Join(stacks.setConstants(spec), types.withhold(spec)); err != nil {
		return nil, nil, nil, err
	}
	collection, notes, err := newCollection(spec, kernel, types.options())
	return kernel, collection, notes, err
}

// StacksHere returns whether, and when, the stack of a crash is copied on this kernel. The error says why it is not.
func StacksHere(types Types) (Stacks, error) {
	spec, err := loadBpf()
	if err != nil {
		return StacksOff, err
	}
	kernel, err := featuresHere(spec, types.opened())
	if lack := types.lackForStacks(kernel); err == nil && lack != "" {
		err = errors.New(lack)
	}
	return StacksAtExit.here(kernel), err
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
