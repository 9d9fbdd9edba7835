// cloneThatCalls (bare.go), for parent and child.
//
// SPDX-License-Identifier: Apache-2.0

#include "go_asm.h"
#include "textflag.h"

// The child does not touch the stack: it may share that of its parent, as a thread or after vfork(2).

// func cloneThatCalls(flags uintptr, calls *call) int
TEXT ·cloneThatCalls(SB), NOSPLIT, $0-24
	MOVD flags+0(FP), R0
	MOVD calls+8(FP), R19
	MOVD ZR, R1
	MOVD ZR, R2
	MOVD ZR, R3
	MOVD ZR, R4
	MOVD $220, R8 // clone
	SVC
	CBZ  R0, next
	MOVD R0, ret+16(FP)
	RET

next:
	MOVD call_number(R19), R8
	MOVD (call_args+0)(R19), R0
	MOVD (call_args+8)(R19), R1
	MOVD (call_args+16)(R19), R2
	MOVD (call_args+24)(R19), R3
	MOVD (call_args+32)(R19), R4
	MOVD (call_args+40)(R19), R5
	MOVD call_zero(R19), R20
	ADD  $call__size, R19
	SVC
	CBNZ R0, next
	CBZ  R20, next
	MOVD R20, R19
	B    next
