// Package layout says where the kernel's own types (BTF) have the fields that the loader finds by observation. The observation itself never looks
// at them.
//
// SPDX-License-Identifier: Apache-2.0
package layout

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// OffsetIn returns the offset of a field, named as in calibrate.Offsets. Types do not describe all: described is false. A set of pending signals
// lies behind the list of them.
func OffsetIn(kernel *btf.Spec, name string) (at int, described bool, err error) {
	structure, field, _ := strings.Cut(name, ".")
	var found *btf.Struct
	if err := kernel.TypeByName(structure, &found); err != nil {
		return 0, false, fmt.Errorf("%s: %w", name, err)
	}
	switch {
	case field == "sizeof":
		return int(found.Size), true, nil
	case field == "group_dead": // that it exists is enough
		return 0, false, nil
	case structure == "css_set" && (field == "memory" || field == "pids"):
		return controllerIn(kernel, found, field)
	}
	switch name {
	case "kernfs_node.parent":
		if at, renamed := offsetOf(found.Members, "__parent"); renamed {
			return at, true, nil
		}
	case "task_struct.thread": // where it begins is not known, but where trap_nr is in it
		thread, _ := offsetOf(found.Members, field)
		trap, err := trapIn(kernel)
		return thread + trap, true, err
	case "thread_struct.trap_nr":
		return 0, true, nil
	case "thread_struct.error_code":
		trap, err := trapIn(kernel)
		code, _ := offsetOf(found.Members, field)
		return code - trap, true, err
	}
	at, described = offsetOf(found.Members, field)
	if !described {
		return 0, false, fmt.Errorf("the kernel has no %s", name)
	}
	if field == "pending" || field == "shared_pending" {
		at += 16
	}
	return at, true, nil
}

// trapIn returns where the number of the last trap is in thread_struct.
func trapIn(kernel *btf.Spec) (int, error) {
	var thread *btf.Struct
	if err := kernel.TypeByName("thread_struct", &thread); err != nil {
		return 0, err
	}
	at, found := offsetOf(thread.Members, "trap_nr")
	if !found {
		return 0, fmt.Errorf("the kernel has no thread_struct.trap_nr")
	}
	return at, nil
}

// controllerIn returns where a css_set has the state of a controller.
func controllerIn(kernel *btf.Spec, set *btf.Struct, name string) (int, bool, error) {
	var ids *btf.Enum
	if err := kernel.TypeByName("cgroup_subsys_id", &ids); err != nil {
		return 0, false, err
	}
	at, _ := offsetOf(set.Members, "subsys")
	i := slices.IndexFunc(ids.Values, func(one btf.EnumValue) bool { return one.Name == name+"_cgrp_id" })
	if i < 0 {
		return 0, false, fmt.Errorf("the kernel has no controller %s", name)
	}
	return at + 8*int(ids.Values[i].Value), true, nil
}

// offsetOf looks into structures and unions without a name, too.
func offsetOf(members []btf.Member, field string) (at int, found bool) {
	for _, member := range members {
		if member.Name == field {
			return int(member.Offset / 8), true
		}
		if member.Name != "" {
			continue
		}
		var inner []btf.Member
		switch of := btf.UnderlyingType(member.Type).(type) {
		case *btf.Struct:
			inner = of.Members
		case *btf.Union:
			inner = of.Members
		}
		if at, found := offsetOf(inner, field); found {
			return int(member.Offset/8) + at, true
		}
	}
	return 0, false
}
