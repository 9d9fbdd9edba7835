// Handlers of signals that need no runtime (handlers.go).
//
// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// func rawHandlers() (returns, raises, exits, restorer uintptr)
TEXT ·rawHandlers(SB), NOSPLIT, $0-32
	LEAQ returns<>(SB), AX
	MOVQ AX, returns+0(FP)
	LEAQ raises<>(SB), AX
	MOVQ AX, raises+8(FP)
	LEAQ exits<>(SB), AX
	MOVQ AX, exits+16(FP)
	LEAQ restores<>(SB), AX
	MOVQ AX, restorer+24(FP)
	RET

TEXT returns<>(SB), NOSPLIT|NOFRAME, $0
	RET

// tgkill(getpid(), gettid(), signal)
TEXT raises<>(SB), NOSPLIT|NOFRAME, $0
	MOVL DI, DX
	MOVL $39, AX  // getpid
	SYSCALL
	MOVL AX, DI
	MOVL $186, AX // gettid
	SYSCALL
	MOVL AX, SI
	MOVL $234, AX // tgkill
	SYSCALL
	RET

// exit_group(7)
TEXT exits<>(SB), NOSPLIT|NOFRAME, $0
	MOVL $7, DI
	MOVL $231, AX // exit_group
	SYSCALL
	RET

TEXT restores<>(SB), NOSPLIT|NOFRAME, $0
	MOVL $15, AX // rt_sigreturn
	SYSCALL
	RET
