// SPDX-License-Identifier: Apache-2.0

package crashtest

import (
	"golang.org/x/sys/unix"

	"whodunit/loader/internal/unwind"
)

const (
	architecture   = unwind.ARM64
	stackPointer   = 31
	framePointer   = 29
	programCounter = unwind.PC
)

func registersOf(thread int) (registers unwind.Registers, err error) {
	var r unix.PtraceRegs
	if err := unix.PtraceGetRegs(thread, &r); err != nil {
		return registers, err
	}
	for column, value := range append(r.Regs[:], r.Sp, r.Pc) {
		registers.Set(uint64(column), value)
	}
	return registers, nil
}

// interrupted is not known here: a test with an alternate stack has no second region on arm64.
func interrupted(int, *unwind.Crash) uint64 { return 0 }
