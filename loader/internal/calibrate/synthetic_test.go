// SPDX-License-Identifier: Apache-2.0

package calibrate

import (
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// A type that differs from the one that the probes declare would be taken for a field that does not exist.
func TestTheTypesAreThoseThatTheProbesDeclare(t *testing.T) {
	object, err := os.Open("../probes/bpf_bpfel.o")
	if err != nil {
		t.Fatal(err)
	}
	defer object.Close()
	probes, err := ebpf.LoadCollectionSpecFromReader(object)
	if err != nil {
		t.Fatal(err)
	}
	all := Offsets{"k_sigaction.sizeof": 32, "upid.sizeof": 16}
	for name := range kinds {
		all[name] = 0
	}
	types, err := all.Types()
	if err != nil {
		t.Fatal(err)
	}
	for name := range kinds {
		structure, field, _ := strings.Cut(name, ".")
		if strings.HasSuffix(field, narrow) { // CO-RE reads the width of the running kernel.
			continue
		}
		if structure == "trace_event_raw_sched_process_exit" || structure == "bpf_raw_tracepoint_args" {
			continue
		}
		declaredAs := structure
		switch {
		case structure == "thread_struct":
			declaredAs += "___x86"
		case field == "ancestor_ids":
			declaredAs += "___ids"
		}
		if want, got := kindOf(probes.Types, declaredAs, field), kindOf(types, structure, field); want == "" || want != got {
			t.Errorf("%s is %q, and the probes declare %q", name, got, want)
		}
	}
}

func kindOf(types *btf.Spec, structure, field string) string {
	for one := range types.All() {
		found, ok := one.(*btf.Struct)
		if !ok || found.Name != structure {
			continue
		}
		for _, member := range found.Members {
			if member.Name == field {
				return kindOfType(member.Type)
			}
		}
	}
	return ""
}

func kindOfType(one btf.Type) string {
	switch btf.UnderlyingType(one).(type) {
	case *btf.Int:
		return "number"
	case *btf.Pointer:
		return "pointer"
	case *btf.Array:
		return "array"
	case *btf.Struct:
		return "structure"
	}
	return "another type"
}
