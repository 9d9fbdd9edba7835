// SPDX-License-Identifier: Apache-2.0

package calibrate

import (
	"testing"

	"github.com/cilium/ebpf/asm"
)

// Kernels from 4.17 on are observed: jumps of 32 bits came with 5.1 (092ed0968bb6), loops with 5.3 (2589726d12a1).
func TestTheProgramsUseNoInstructionThatOldKernelsDoNotKnow(t *testing.T) {
	spec, err := loadPeek()
	if err != nil {
		t.Fatal(err)
	}
	for name, program := range spec.Programs {
		for i := range program.Instructions {
			one := &program.Instructions[i]
			if class := one.OpCode.Class(); class == asm.Jump32Class || class == asm.JumpClass && one.Offset < 0 {
				t.Errorf("%s, instruction %d: %v", name, i, one)
			}
		}
	}
}
