// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"

	"github.com/cilium/ebpf"
)

// Stacks says whether, and when, the stack of a crash is copied.
type Stacks string

// The values of Stacks.
const (
	StacksOff        Stacks = "off"
	StacksAtExit     Stacks = "at the exit"     // where the memory is still there
	StacksAtDelivery Stacks = "at the delivery" // of the signal: before Linux 6.16, and in tests
)

// here returns what this kernel can do of what is wanted.
func (s Stacks) here(kernel kernelFeatures) Stacks {
	switch {
	case s == StacksOff || s == "" || kernel.lackForStacks() != "":
		return StacksOff
	case !kernel[bpfVarFeatureGroupDead]:
		return StacksAtDelivery
	}
	return s
}

// lackForStacks returns what is not there that stacks need; "": nothing.
func (t Types) lackForStacks(kernel kernelFeatures) string {
	if t.Observed() {
		return "the mappings of a process are not found by observation; a file with the kernel's types has them (--btf, WHODUNIT_BTF)"
	}
	return kernel.lackForStacks()
}

// lackForStacks returns what is not there that stacks need; "": nothing.
func (kernel kernelFeatures) lackForStacks() string {
	switch {
	case runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64":
		return "they are unwound on x86-64 and arm64 only"
	case !kernel[bpfVarFeatureMapleTree]:
		return "this kernel has no maple tree, where the mappings of a process are found; use Linux 6.1 or later"
	}
	return ""
}

// configure pins the maps of crashes, which outlive a loader, or makes them small.
func (s Stacks) configure(spec *ebpf.CollectionSpec) {
	for _, name := range crashMaps() {
		if s != StacksOff {
			spec.Maps[name].Pinning = ebpf.PinByName
		} else if spec.Maps[name].Type != ebpf.RingBuf {
			spec.Maps[name].MaxEntries = 1
		}
	}
	if s == StacksOff {
		spec.Maps[bpfMapCrashRegisters].MaxEntries = 1
	}
}

func (s Stacks) setConstants(spec *ebpf.CollectionSpec) error {
	err := errors.Join(spec.Variables[bpfVarWantsStack].Set(s != StacksOff), spec.Variables[bpfVarCapturesAtDelivery].Set(s == StacksAtDelivery))
	if err != nil {
		return fmt.Errorf("set the probes' constants of stacks: %w", err)
	}
	return nil
}

// Crashes are the maps by which the probes hand over what they copied of a crash (bpf/crash_maps.h).
type Crashes struct {
	Slots, Directory, FreeSlots, Wakeups, Pages, FreePageSets *ebpf.Map

	// NoPages says why files that may be out of reach later are not copied; nil: they are, or an earlier loader knows.
	NoPages error
	Stacks  Stacks
}

// crashMaps returns the names of the maps that are pinned where stacks are taken.
func crashMaps() []string { return slices.Collect(maps.Keys((&Crashes{}).maps())) }

func (c *Crashes) maps() map[string]**ebpf.Map {
	return map[string]**ebpf.Map{
		bpfMapCrashSlots: &c.Slots, bpfMapCrashDirectoryMap: &c.Directory, bpfMapFreeSlots: &c.FreeSlots, bpfMapCrashWakeups: &c.Wakeups,
		bpfMapCrashPagesMap: &c.Pages, bpfMapFreePageSets: &c.FreePageSets,
	}
}
