// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// What CO-RE would put there is a call that kernels before 4.15 crash on.
func TestOfAFieldThatDoesNotExistNoCallIsLeft(t *testing.T) {
	types := typesFoundOn(t, "5.10-x86_64")
	spec, err := loadBpf()
	if err == nil {
		err = rejectAbsent(spec, types)
	}
	if err != nil {
		t.Fatal(err)
	}
	rejected := 0
	for name, program := range spec.Programs {
		for i, one := range program.Instructions {
			if one.OpCode.Class() == asm.StClass && one.Offset == aboveStack {
				rejected++
			}
			fixup, err := fixupOf(one, types)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(fixup, "=poison") {
				t.Errorf("%s, instruction %d: %s", name, i, fixup)
			}
		}
	}
	if rejected == 0 {
		t.Error("all fields exist")
	}
}

func TestAVerifierRejectsWhatIsAboveTheStackIfItCanBeReached(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root")
	}
	write := asm.StoreImm(asm.RFP, aboveStack, 0, asm.Word)
	for _, test := range []struct {
		name  string
		first asm.Instructions
		ok    bool
	}{
		{"reached", asm.Instructions{asm.Mov.Imm(asm.R0, 0)}, false},
		{"not reached", asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.JEq.Imm(asm.R0, 0, "end")}, true},
	} {
		program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SocketFilter, Instructions: append(test.first, write, asm.Return().WithSymbol("end"))})
		if (err == nil) != test.ok {
			t.Errorf("%s: %v", test.name, err)
		}
		if err == nil {
			program.Close()
		}
	}
}
