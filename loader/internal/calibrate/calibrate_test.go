// SPDX-License-Identifier: Apache-2.0

package calibrate

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
)

// startsInARow must find the same. WHODUNIT_TEST_STARTS: as many, where starts are slow.
func startsInARow() int {
	if wanted, err := strconv.Atoi(os.Getenv("WHODUNIT_TEST_STARTS")); err == nil {
		return wanted
	}
	return 50
}

// init becomes a child, which startChild starts as this program.
func init() {
	if len(os.Args) > 3 && os.Args[1] == Command {
		number, _ := strconv.Atoi(os.Args[3])
		executions := Unprepared
		if len(os.Args) > 5 {
			executions, _ = strconv.Atoi(os.Args[5])
		}
		panic(Run(number, executions))
	}
}

// It compares with the kernel's own types, which Find does not look at.
func TestEachFieldIsWhereTheKernelSaysAtEachStart(t *testing.T) {
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	var first Offsets
	for range startsInARow() {
		found, err := Find()
		if err != nil {
			t.Fatalf("%v; places: %v", err, found)
		}
		if missing := found.Missing(); len(missing) > 0 {
			t.Errorf("not found: %v", missing)
		}
		if first == nil {
			first = found.Offsets
			for name, at := range first {
				if want, described := offsetIn(t, kernel, name); described && at != want {
					t.Errorf("%s is at %d, not %d", name, want, at)
				}
			}
		}
		if !maps.Equal(found.Offsets, first) {
			t.Fatalf("%v, and before %v", found.Offsets, first)
		}
	}
}

// offsetIn returns the offset of a field in the kernel's types. A set of pending signals lies behind the list of them.
func offsetIn(t *testing.T, kernel *btf.Spec, name string) (at int, described bool) {
	t.Helper()
	structure, field, _ := strings.Cut(name, ".")
	var found *btf.Struct
	if err := kernel.TypeByName(structure, &found); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	switch field {
	case sizeOf:
		return int(found.Size), true
	case "group_dead": // that it exists is enough
		return 0, false
	}
	if structure == "css_set" && slices.Contains(controllers(), field) {
		at, _ := offsetOf(found.Members, "subsys")
		return at + 8*controllerIn(t, kernel, field), true
	}
	switch name {
	case "kernfs_node.parent":
		if at, renamed := offsetOf(found.Members, "__parent"); renamed {
			return at, true
		}
	case "task_struct.thread": // where it begins is not known, but where trap_nr is in it
		thread, _ := offsetIn(t, kernel, "thread_struct.trap")
		at, _ := offsetOf(found.Members, field)
		return at + thread, true
	case "thread_struct.trap_nr":
		return 0, true
	case "thread_struct.trap", "thread_struct.error_code":
		trap, _ := offsetOf(found.Members, "trap_nr")
		if field == "trap" {
			return trap, true
		}
		at, _ := offsetOf(found.Members, field)
		return at - trap, true
	}
	at, described = offsetOf(found.Members, field)
	if !described {
		t.Fatalf("the kernel has no %s", name)
	}
	if field == "pending" || field == "shared_pending" {
		at += 16
	}
	return at, true
}

func controllerIn(t *testing.T, kernel *btf.Spec, name string) int {
	t.Helper()
	var ids *btf.Enum
	if err := kernel.TypeByName("cgroup_subsys_id", &ids); err != nil {
		t.Fatal(err)
	}
	return int(ids.Values[slices.IndexFunc(ids.Values, func(one btf.EnumValue) bool { return one.Name == name+"_cgrp_id" })].Value)
}

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
