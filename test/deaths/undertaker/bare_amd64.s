// cloneThatCalls (bare.go), for parent and child.
//
// SPDX-License-Identifier: Apache-2.0

#include "go_asm.h"
#include "textflag.h"

// The child does not touch the stack: it may share that of its parent, as a thread or after vfork(2).

// func cloneThatCalls(flags uintptr, calls *call) int
TEXT ·cloneThatCalls(SB), NOSPLIT, $0-24
	MOVQ flags+0(FP), DI
	MOVQ calls+8(FP), R12
	XORL SI, SI
	XORL DX, DX
	XORL R10, R10
	XORL R8, R8
	MOVL $56, AX // clone
	SYSCALL
	TESTQ AX, AX
	JZ   next
	MOVQ AX, ret+16(FP)
	RET

next:
	MOVQ call_number(R12), AX
	MOVQ (call_args+0)(R12), DI
	MOVQ (call_args+8)(R12), SI
	MOVQ (call_args+16)(R12), DX
	MOVQ (call_args+24)(R12), R10
	MOVQ (call_args+32)(R12), R8
	MOVQ (call_args+40)(R12), R9
	MOVQ call_zero(R12), R13
	ADDQ $call__size, R12
	SYSCALL
	TESTQ AX, AX
	JNZ  next
	TESTQ R13, R13
	JZ   next
	MOVQ R13, R12
	JMP  next
