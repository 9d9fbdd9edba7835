// SPDX-License-Identifier: Apache-2.0

package calibrate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// Offsets are where fields lie in their structures, in bytes, by "structure.field". Sizes of structures have the field "sizeof". What is not in
// it could not be found.
type Offsets map[string]int

// kinds has the type of each field that Types can describe: a number of bytes, an array of characters, a pointer (*), or a structure.
var kinds = map[string]string{
	"task_struct.flags": "u32", "task_struct.ptrace": "u32", "task_struct.exit_code": "u32", "task_struct.pdeath_signal": "u32", "task_struct.jobctl": "u64", "task_struct.self_exec_id": "u64", narrowExecID: "u32",
	"task_struct.children": "list_head", "list_head.next": "*list_head",
	"task_struct.pid": "u32", "task_struct.tgid": "u32", "task_struct.start_boottime": "u64", "task_struct.comm": "char16",
	"task_struct.real_parent": "*task_struct", "task_struct.group_leader": "*task_struct", "task_struct.mm": "*mm_struct",
	"task_struct.signal": "*signal_struct", "task_struct.sighand": "*sighand_struct", "task_struct.cred": "*cred",
	"task_struct.pending": "sigpending", "task_struct.blocked": "sigset_t", "task_struct.seccomp": "seccomp",
	"task_struct.thread": "thread_struct", "thread_struct.trap_nr": "u64", "thread_struct.error_code": "u64",
	"mm_struct.arg_start": "u64", "mm_struct.arg_end": "u64", "mm_struct.env_start": "u64", "mm_struct.env_end": "u64",
	"signal_struct.live": "atomic_t", "signal_struct.nr_threads": "u32", "signal_struct.group_exit_code": "u32", "signal_struct.flags": "u32",
	"signal_struct.shared_pending": "sigpending", "signal_struct.oom_score_adj": "u16",
	"sighand_struct.action": "k_sigactions", "k_sigaction.sa": "sigaction", "sigaction.sa_handler": "address", "sigpending.signal": "sigset_t",
	"cred.uid": "id", "cred.euid": "id", "cred.egid": "id",
	"trace_event_raw_sched_process_exit.group_dead": "u8",
	"bpf_raw_tracepoint_args.args":                  "args",
	"signal_struct.pids":                            "pids", "pid.level": "u32", "pid.numbers": "upids", "upid.nr": "u32",
	"upid.ns": "*pid_namespace", "pid_namespace.reboot": "u32",
	"task_struct.cgroups": "*css_set", "css_set.subsys": "subsys", "css_set.dfl_cgrp": "*cgroup", "cgroup_subsys_state.cgroup": "*cgroup",
	"cgroup.kn": "*kernfs_node", "cgroup.level": "u32", "cgroup.ancestors": "addresses", "cgroup.ancestor_ids": "args",
	"kernfs_node.parent": "*kernfs_node", "kernfs_node.name": "text", "kernfs_node.id": "u64", "kernfs_node.mode": "u16",
	"kernfs_node.iattr": "*kernfs_iattrs", "kernfs_iattrs.ia_uid": "id",
}

// narrow follows the name of a field that has 32 bits on older kernels.
const narrow = " (32 bits)"

// sizeOf is what a structure has at least: CO-RE reads it for k_sigaction only.
const sizeOf = "sizeof"

// builtin are the structures in which only the place of the whole has to be found.
func builtin() map[string]btf.Type {
	u32 := &btf.Int{Name: "unsigned int", Size: 4}
	u64 := &btf.Int{Name: "unsigned long", Size: 8}
	member := func(name string, of btf.Type) []btf.Member { return []btf.Member{{Name: name, Type: of}} }
	words := func(n uint32) btf.Type { return &btf.Array{Index: u32, Type: u64, Nelems: n} }
	return map[string]btf.Type{
		"u8": &btf.Int{Name: "unsigned char", Size: 1}, "u16": &btf.Int{Name: "short", Size: 2}, "u32": u32, "u64": u64,
		"address": &btf.Pointer{Target: &btf.Void{}}, "text": &btf.Pointer{Target: &btf.Const{Type: &btf.Int{Name: "char", Size: 1, Encoding: btf.Signed}}},
		"addresses": &btf.Array{Index: u32, Type: &btf.Pointer{Target: &btf.Struct{Name: "cgroup_above"}}, Nelems: 0},
		"char16":    &btf.Array{Index: u32, Type: &btf.Int{Name: "char", Size: 1, Encoding: btf.Signed}, Nelems: 16},
		"args":      words(0),
		"id":        &btf.Typedef{Name: "kuid_t", Type: &btf.Struct{Size: 4, Members: member("val", u32)}},
		"atomic_t":  &btf.Typedef{Name: "atomic_t", Type: &btf.Struct{Size: 4, Members: member("counter", u32)}},
		"seccomp":   &btf.Struct{Name: "seccomp", Size: 4, Members: member("mode", u32)},
		"sigset_t":  &btf.Typedef{Name: "sigset_t", Type: &btf.Struct{Size: 8, Members: member("sig", words(1))}},
	}
}

// Types returns the types of the kernel, as far as the offsets describe them.
func (found Offsets) Types() (*btf.Spec, error) {
	found = maps.Clone(found)
	var all []btf.Type
	if ids := found.foldControllers(); ids != nil {
		all = append(all, ids)
	}
	found["sigpending.signal"] = 0 // The place of a set of pending signals is that of the set, not of the list before it.
	if _, known := found["task_struct.cgroups"]; !known {
		// No address of a cgroup is known, so that each read of one fails, wherever the field is. That it exists selects the code of newer kernels,
		// which is the smaller one.
		found["cgroup.ancestors"] = 0
	}
	known := builtin()
	structure := func(name string) *btf.Struct {
		if made, ok := known[name].(*btf.Struct); ok {
			return made
		}
		made := &btf.Struct{Name: name}
		known[name] = made
		all = append(all, made)
		return made
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		owner, field, _ := strings.Cut(name, ".")
		if field == sizeOf {
			structure(owner).Size = uint32(found[name])
			continue
		}
		kind, ok := kinds[name]
		if !ok {
			return nil, fmt.Errorf("the field %s has no known type", name)
		}
		var of btf.Type
		if array := arrayOf(kind, known["u32"], structure); array != nil {
			known[kind] = array
		}
		if target, isPointer := strings.CutPrefix(kind, "*"); isPointer {
			of = &btf.Pointer{Target: structure(target)}
		} else if of, ok = known[kind]; !ok {
			of = structure(kind)
		}
		into := structure(owner)
		into.Members = append(into.Members, btf.Member{Name: strings.TrimSuffix(field, narrow), Type: of, Offset: btf.Bits(found[name] * 8)})
	}
	for _, made := range all {
		made, ok := made.(*btf.Struct)
		if !ok {
			continue
		}
		slices.SortFunc(made.Members, func(a, b btf.Member) int { return int(a.Offset) - int(b.Offset) })
		if made.Size == 0 {
			made.Size = structBytesMax
		}
	}
	builder, err := btf.NewBuilder(all, nil)
	if err != nil {
		return nil, fmt.Errorf("describe the types of the kernel: %w", err)
	}
	return builder.Spec()
}

// arrayOf returns an array of structures or of pointers to them; nil: the kind is none.
func arrayOf(kind string, index btf.Type, structure func(name string) *btf.Struct) btf.Type {
	switch kind {
	case "pids":
		return &btf.Array{Index: index, Type: &btf.Pointer{Target: structure("pid")}, Nelems: 4}
	case "upids":
		return &btf.Array{Index: index, Type: structure("upid"), Nelems: 1}
	case "subsys":
		return &btf.Array{Index: index, Type: &btf.Pointer{Target: structure("cgroup_subsys_state")}, Nelems: controllersMax}
	case "k_sigactions":
		return &btf.Array{Index: index, Type: structure("k_sigaction"), Nelems: 64}
	}
	return nil
}

// controllersMax is the length of css_set.subsys in the probes' own types.
const controllersMax = 16

// foldControllers replaces the places of controllers in a css_set by an array, and returns the enumeration of their numbers in it; nil: there are
// none. Where the array begins is not known: the first one that was found has the number 0.
func (found Offsets) foldControllers() *btf.Enum {
	places := map[string]int{}
	for _, controller := range controllers() {
		if at, ok := found["css_set."+controller]; ok {
			places[controller] = at
			delete(found, "css_set."+controller)
		}
	}
	if len(places) == 0 {
		return nil
	}
	first := slices.Min(slices.Collect(maps.Values(places)))
	found["css_set.subsys"] = first
	ids := &btf.Enum{Name: "cgroup_subsys_id", Size: 4}
	for _, controller := range slices.Sorted(maps.Keys(places)) {
		ids.Values = append(ids.Values, btf.EnumValue{Name: controller + "_cgrp_id", Value: uint64(places[controller]-first) / 8})
	}
	return ids
}

// structBytesMax is the size of a structure whose size is not known, and needed by no probe.
const structBytesMax = 16 << 10
