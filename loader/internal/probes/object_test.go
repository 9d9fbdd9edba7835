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

// Where the frame of a program is larger, the kernel places it in memory of its own (BPF_PRIV_STACK_MIN_SIZE, 6.13), which is cold in most
// exits. A report may have what it needs: it is another function (docs/decisions/0079).
func TestTheFrameOfANormalExitIsSmall(t *testing.T) {
	const least = -56
	spec, err := loadBpf()
	if err != nil {
		t.Fatal(err)
	}
	for i, instruction := range spec.Programs[bpfProgOnSchedProcessExit].Instructions {
		if i > 0 && instruction.Symbol() != "" {
			return // The next function begins.
		}
		onStack := instruction.Src == asm.RFP || instruction.Dst == asm.RFP
		isAddress := instruction.OpCode.ALUOp() == asm.Add && instruction.OpCode.Source() == asm.ImmSource && instruction.Constant < 0
		if (onStack && instruction.Offset < least) || (isAddress && instruction.Constant < least) {
			t.Errorf("instruction %d: %v", i, instruction)
		}
	}
}
