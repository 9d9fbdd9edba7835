// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/cilium/ebpf/asm"
)

// Kernels before 5.12 reject every atomic instruction but an addition without a result, also where it is never run. The compiler may make
// others: of an addition of 0, an OR.
func TestNoProgramOfOldKernelsHasANewAtomicInstruction(t *testing.T) {
	const imm = 4 // where an instruction has the operation: BPF_ADD is 0
	spec, err := loadBpf()
	if err != nil {
		t.Fatal(err)
	}
	for _, newer := range []string{bpfProgOnSchedProcessExitAgain, bpfProgOnSchedProcessExitOnceMore} {
		delete(spec.Programs, newer)
	}
	for name, program := range spec.Programs {
		for i, instruction := range program.Instructions {
			if instruction.OpCode.Class() != asm.StXClass {
				continue
			}
			var raw bytes.Buffer
			if _, err := instruction.Marshal(&raw, binary.LittleEndian); err != nil {
				t.Fatal(err)
			}
			if binary.LittleEndian.Uint32(raw.Bytes()[imm:]) != 0 {
				t.Errorf("%s, instruction %d: %v", name, i, instruction)
			}
		}
	}
}
