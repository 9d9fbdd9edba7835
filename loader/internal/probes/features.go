// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"whodunit/loader/internal/abi"
)

// kernelFeatures has, for each feature_ variable of the object, whether the kernel has the feature. The kernel's BTF decides, not its version
// (bpf/features.h).
type kernelFeatures map[string]bool

func featuresHere(spec *ebpf.CollectionSpec, types Types) (kernelFeatures, error) {
	here := kernelFeatures{}
	kernel, err := types.read()
	if err != nil {
		return nil, fmt.Errorf("read the kernel's types: %w", err)
	}
	for _, variable := range []string{bpfVarFeatureGroupDead, bpfVarFeatureMarkVictimSizes, bpfVarFeaturePreemptibleTracepoints, bpfVarFeatureTaskVmaIterator, bpfVarFeatureMapleTree} {
		var wanted abi.Feature
		if err := spec.Variables[variable].Get(&wanted); err != nil {
			return nil, fmt.Errorf("read the probes' constant %s: %w", variable, err)
		}
		_, needsKfuncs := kfuncFeatures()[variable]
		here[variable] = kernelHas(kernel, text(wanted.Type[:]), text(wanted.Member[:])) && (types.Own() || !needsKfuncs)
	}
	return here, nil
}

// kernelHas reports whether the kernel has the type and, unless member is empty, that member of it. A function may have the name of a type:
// bpf_iter_task_vma() is in the BTF of 5.12 and later, and the structure in that of 6.7.
func kernelHas(kernel *btf.Spec, name, member string) bool {
	types, err := kernel.AnyTypesByName(name)
	return err == nil && slices.ContainsFunc(types, func(found btf.Type) bool {
		if member == "" {
			_, isFunction := found.(*btf.Func)
			return !isFunction
		}
		structure, isStruct := found.(*btf.Struct)
		return isStruct && slices.ContainsFunc(structure.Members, func(has btf.Member) bool { return has.Name == member })
	})
}

// readEnvironmentKeys reads which variables the probes copy.
func (p *Probes) readEnvironmentKeys(spec *ebpf.CollectionSpec) (err error) {
	if p.EnvironmentKeys, err = environmentKeys(spec, bpfVarEnvironmentKeys); err != nil {
		return err
	}
	p.ActorEnvironmentKeys, err = environmentKeys(spec, bpfVarActorEnvironmentKeys)
	return err
}

// environmentKeys reads the names of the variables that the probes copy, from a constant: C strings, each padded with NULs.
func environmentKeys(spec *ebpf.CollectionSpec, variable string) ([]string, error) {
	var names string
	if err := spec.Variables[variable].Get(&names); err != nil {
		return nil, fmt.Errorf("read the probes' constant %s: %w", variable, err)
	}
	return strings.FieldsFunc(names, func(r rune) bool { return r == 0 }), nil
}

// text returns the C string in name, up to its NUL.
func text(name []int8) string {
	raw := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(name))), len(name))
	head, _, _ := bytes.Cut(raw, []byte{0})
	return string(head)
}
