// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"bytes"
	"testing"

	"github.com/cilium/ebpf/btf"
)

func TestAFunctionWithTheNameOfATypeIsNoFeature(t *testing.T) {
	number := &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
	function := &btf.Func{Name: "bpf_iter_task_vma", Type: &btf.FuncProto{Return: number}, Linkage: btf.GlobalFunc}
	structure := &btf.Struct{Name: "bpf_iter_task_vma", Size: 4, Members: []btf.Member{{Name: "opaque", Type: number}}}
	number64 := &btf.Typedef{Name: "class_srcu_t", Type: number}
	for _, c := range []struct {
		name   string
		kernel []btf.Type
		of     string
		member string
		want   bool
	}{
		{"a structure", []btf.Type{structure}, "bpf_iter_task_vma", "", true},
		{"a structure beside a function of that name", []btf.Type{function, structure}, "bpf_iter_task_vma", "", true},
		{"a function alone", []btf.Type{function}, "bpf_iter_task_vma", "", false},
		{"another name", []btf.Type{structure}, "bpf_iter_task", "", false},
		{"a type definition", []btf.Type{number64}, "class_srcu_t", "", true},
		{"a member", []btf.Type{function, structure}, "bpf_iter_task_vma", "opaque", true},
		{"no such member", []btf.Type{function, structure}, "bpf_iter_task_vma", "other", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if has := kernelHas(specOf(t, c.kernel), c.of, c.member); has != c.want {
				t.Errorf("%t, want %t", has, c.want)
			}
		})
	}
}

func specOf(t *testing.T, types []btf.Type) *btf.Spec {
	t.Helper()
	spec, err := btf.LoadSpecFromReader(bytes.NewReader(marshal(t, types)))
	if err != nil {
		t.Fatal(err)
	}
	return spec
}
