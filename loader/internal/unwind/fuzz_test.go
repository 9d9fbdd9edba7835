// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"testing"
	"time"
)

func FuzzReadable(f *testing.F) {
	f.Add("_ZN3app6WorkerIS0_S1_E3runEv")
	f.Add("_RNvXs_Cs1_1aNtB2_1bNtNtCs2_4core5clone5Clone5clone")
	f.Fuzz(func(t *testing.T, name string) {
		if got := readable(name); len(got) > functionBytesMax {
			t.Errorf("%d bytes", len(got))
		}
	})
}

func FuzzUnwind(f *testing.F) {
	seed := recursion(4, nil)
	f.Add(program("f"), seed.Stack[0].Data[:256], uint64(moduleAt+0x1010), uint64(stackAt), false)
	f.Add(program("f"), seed.Stack[0].Data[:256], uint64(0), uint64(stackAt+8), true)
	f.Fuzz(func(t *testing.T, file, stack []byte, pc, sp uint64, arm bool) {
		crash := recursion(1, file)
		crash.Stack[0].Data = stack
		convention := conventions[AMD64]
		if arm {
			crash.Architecture, convention = ARM64, conventions[ARM64]
		}
		crash.Registers.Set(convention.pc, pc)
		crash.Registers.Set(convention.stackPointer, sp)
		crash.Registers.Set(convention.framePointer, sp+16)
		crash.Registers.Set(30, moduleAt+0x1050)
		crash.Fault = &crash.Registers
		unwinder := New(Limits{Time: time.Second, Bytes: 1 << 20, Reads: 10_000, Frames: 64, Cache: 1 << 20})
		result, err := unwinder.unwind(crash) // a panic is a failure
		if err != nil || len(result.Frames) == 0 || len(result.Frames) > 64 {
			t.Errorf("%+v, %v", result, err)
		}
	})
}
