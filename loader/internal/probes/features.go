// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"bytes"
	"fmt"
	"slices"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"whodunit/loader/internal/abi"
)

// kernelFeatures says, by the name of the object's feature_ variable, what the kernel has. The kernel's BTF decides, not its version
// (bpf/features.h).
type kernelFeatures map[string]bool

func featuresHere(spec *ebpf.CollectionSpec, types *btf.Cache) (kernelFeatures, error) {
	here := kernelFeatures{}
	for _, variable := range []string{bpfVarFeatureGroupDead, bpfVarFeatureMarkVictimSizes, bpfVarFeaturePreemptibleTracepoints, bpfVarFeatureTaskVmaIterator} {
		var wanted abi.Feature
		if err := spec.Variables[variable].Get(&wanted); err != nil {
			return nil, fmt.Errorf("read the probes' constant %s: %w", variable, err)
		}
		here[variable] = kernelHas(types, text(wanted.Type[:]), text(wanted.Member[:]))
	}
	return here, nil
}

// kernelHas asks the running kernel's BTF for a type or, if member is not empty, for a member of a structure.
func kernelHas(types *btf.Cache, name, member string) bool {
	kernel, err := types.Kernel()
	if err != nil {
		return false
	}
	if member == "" {
		_, err = kernel.AnyTypeByName(name)
		return err == nil
	}
	var found *btf.Struct
	return kernel.TypeByName(name, &found) == nil && slices.ContainsFunc(found.Members, func(has btf.Member) bool { return has.Name == member })
}

// environmentKeys reads which variables the probes copy.
func environmentKeys(spec *ebpf.CollectionSpec) (keys []string, _ error) {
	type name [32]int8 // ENVIRONMENT_KEY_BYTES
	names := make([]name, spec.Variables[bpfVarEnvironmentKeys].Size()/uint32(unsafe.Sizeof(name{})))
	if err := spec.Variables[bpfVarEnvironmentKeys].Get(names); err != nil {
		return nil, fmt.Errorf("read the probes' constant %s: %w", bpfVarEnvironmentKeys, err)
	}
	for _, name := range names {
		keys = append(keys, text(name[:]))
	}
	return keys, nil
}

// text is a C string.
func text(name []int8) string {
	raw := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(name))), len(name))
	head, _, _ := bytes.Cut(raw, []byte{0})
	return string(head)
}
