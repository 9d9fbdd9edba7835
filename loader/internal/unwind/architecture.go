// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
)

const retX86 = 0xc3 // of an instruction without operands

// PC is the column of the program counter on arm64, where DWARF has none.
const PC = 32

// convention is what an architecture's calls and signals look like.
type convention struct {
	machine      elf.Machine
	stackPointer uint64 // columns
	framePointer uint64
	pc           uint64
	// link is the column of the register with the return address; without one, calls push it.
	link     uint64
	hasLink  bool
	codeMask uint64 // of a return address: the other bits are a signature
	// trampolines are the instructions that call rt_sigreturn: where signal handlers return to.
	trampolines []string
	// callBytes before a return address decide whether it follows a call.
	callBytes int
	called    func(code []byte) (follows bool, distance int64, direct bool)
	// prologues begin a function that keeps a frame pointer.
	prologues []string
	signal    signalFrame
}

// signalFrame is where struct rt_sigframe of the kernel has the interrupted registers, from the stack pointer of the trampoline.
type signalFrame struct {
	at      uint64
	columns []uint64
}

var conventions = map[Architecture]*convention{
	AMD64: {
		machine: elf.EM_X86_64, stackPointer: 7, framePointer: 6, pc: 16, codeMask: ^uint64(0),
		trampolines: []string{
			"\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05", // mov $15, %rax; syscall: glibc, musl, Go
			"\xb8\x0f\x00\x00\x00\x0f\x05",         // mov $15, %eax; syscall
		},
		callBytes: 7, called: calledX86,
		prologues: []string{"\x55\x48\x89\xe5", "\xf3\x0f\x1e\xfa\x55\x48\x89\xe5"}, // [endbr64]; push %rbp; mov %rsp, %rbp
		// The restorer's address is popped. struct ucontext: flags, link and stack (40 bytes); then struct sigcontext: r8 to r15, di, si, bp, bx, dx, ax,
		// cx, sp, ip.
		signal: signalFrame{at: 40, columns: []uint64{8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7, 16}},
	},
	ARM64: {
		machine: elf.EM_AARCH64, stackPointer: 31, framePointer: 29, pc: PC, link: 30, hasLink: true,
		codeMask:    1<<48 - 1,                                    // user addresses have 48 bits, unless a program asks for more (Documentation/arch/arm64/memory.rst)
		trampolines: []string{"\x68\x11\x80\xd2\x01\x00\x00\xd4"}, // mov x8, #139; svc #0: in the vDSO
		callBytes:   4, called: calledARM,
		prologues: []string{"\xfd\x7b", "\x3f\x23\x03\xd5\xfd\x7b", "\x5f\x24\x03\xd5\xfd\x7b"}, // [paciasp | bti c]; stp x29, x30, …
		// struct siginfo (128 bytes), struct ucontext up to the machine's part (176), the fault's address; then x0 to x30, sp, pc.
		signal: signalFrame{at: 128 + 176 + 8, columns: columnsTo(PC)},
	},
}

func columnsTo(last uint64) (columns []uint64) {
	for column := range last + 1 {
		columns = append(columns, column)
	}
	return columns
}

// calledX86 reports whether the seven bytes end with a call: e8 with a distance, or ff /2.
func calledX86(code []byte) (follows bool, distance int64, direct bool) {
	if code[2] == 0xe8 {
		return true, int64(int32(binary.LittleEndian.Uint32(code[3:]))), true
	}
	for n := 2; n <= 7; n++ {
		if call := code[7-n:]; call[0] == 0xff && call[1]>>3&7 == 2 && indirectBytes(call) == n {
			return true, 0, false
		}
	}
	return false, 0, false
}

// indirectBytes returns the length of an instruction of an operation byte, ModRM, SIB and displacement.
func indirectBytes(code []byte) int {
	mode, register := code[1]>>6, code[1]&7
	n := 2
	if mode != 3 && register == 4 {
		n++
		if mode == 0 && len(code) > 2 && code[2]&7 == 5 {
			n += 4
		}
	}
	switch {
	case mode == 1:
		n++
	case mode == 2, mode == 0 && register == 5:
		n += 4
	}
	return n
}

// calledARM reports whether the instruction is bl or blr, with or without authentication.
func calledARM(code []byte) (follows bool, distance int64, direct bool) {
	instruction := binary.LittleEndian.Uint32(code)
	if instruction>>26 == 0b100101 { // bl; from itself on
		return true, int64(int32(instruction<<6))>>4 - 4, true
	}
	return instruction&0xfffffc1f == 0xd63f0000 || instruction&0xfefff800 == 0xd63f0800, 0, false
}

func littleEndian(raw []byte) uint64 { return binary.LittleEndian.Uint64(raw) }

// errArchitecture says what is unwound.
func errArchitecture(a Architecture) error {
	return fmt.Errorf("architecture %d: only 64-bit x86 and arm64 are unwound", a)
}
