// SPDX-License-Identifier: Apache-2.0

package crashtest

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"

	"whodunit/loader/internal/unwind"
)

const (
	architecture   = unwind.AMD64
	stackPointer   = 7
	framePointer   = 6
	programCounter = 16
)

func registersOf(thread int) (registers unwind.Registers, err error) {
	var r unix.PtraceRegs
	if err := unix.PtraceGetRegs(thread, &r); err != nil {
		return registers, err
	}
	values := []uint64{r.Rax, r.Rdx, r.Rcx, r.Rbx, r.Rsi, r.Rdi, r.Rbp, r.Rsp, r.R8, r.R9, r.R10, r.R11, r.R12, r.R13, r.R14, r.R15, r.Rip}
	for column, value := range values {
		registers.Set(uint64(column), value)
	}
	return registers, nil
}

// interrupted returns the stack pointer of what a signal interrupted, if the copied stack has the signal's frame: where handlers return to, then
// struct ucontext.
func interrupted(thread int, crash *unwind.Crash) uint64 {
	stack := crash.Stack[0].Data
	for at := 0; at+8+40+17*8 <= len(stack); at += 8 {
		to := binary.LittleEndian.Uint64(stack[at:])
		for _, module := range crash.Modules {
			if to >= module.Start && to < module.End && bytes.Equal(read(thread, to, 9), []byte("\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05")) {
				return binary.LittleEndian.Uint64(stack[at+8+40+15*8:])
			}
		}
	}
	return 0
}
