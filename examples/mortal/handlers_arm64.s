// Handlers of signals that need no runtime (handlers.go).
//
// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// func rawHandlers() (returns, raises, exits, restorer uintptr)
TEXT ·rawHandlers(SB), NOSPLIT, $0-32
	MOVD $returns<>(SB), R0
	MOVD R0, returns+0(FP)
	MOVD $raises<>(SB), R0
	MOVD R0, raises+8(FP)
	MOVD $exits<>(SB), R0
	MOVD R0, exits+16(FP)
	MOVD $restores<>(SB), R0
	MOVD R0, restorer+24(FP)
	RET

TEXT returns<>(SB), NOSPLIT|NOFRAME, $0
	RET

// tgkill(getpid(), gettid(), signal)
TEXT raises<>(SB), NOSPLIT|NOFRAME, $0
	MOVD R0, R2
	MOVD $172, R8 // getpid
	SVC
	MOVD R0, R3
	MOVD $178, R8 // gettid
	SVC
	MOVD R0, R1
	MOVD R3, R0
	MOVD $131, R8 // tgkill
	SVC
	RET

// exit_group(7)
TEXT exits<>(SB), NOSPLIT|NOFRAME, $0
	MOVD $7, R0
	MOVD $94, R8 // exit_group
	SVC
	RET

TEXT restores<>(SB), NOSPLIT|NOFRAME, $0
	MOVD $139, R8 // rt_sigreturn
	SVC
	RET
