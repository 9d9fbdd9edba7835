// The prefix `handle`: signal handlers like those of a C program, in place of Go's.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawHandlers returns the addresses of the handlers, and of the restorer.
func rawHandlers() (returns, raises, exits, restorer uintptr)

// include/uapi/asm-generic/signal.h and arch/x86/include/uapi/asm/signal.h; arm64 ignores SA_RESTORER.
const (
	saOnStack   = 0x08000000
	saRestorer  = 0x04000000
	saNoDefer   = 0x40000000
	saResetHand = 0x80000000
)

var everySignal = unix.Sigset_t{Val: [16]uint64{^uint64(0)}}

// nowhere is an unmapped address.
const nowhere = 0x10000

// handle installs a handler for one delivery of the signal. The way that follows leaves it in place.
func handle(args []string) error {
	sig, err := signalNamed(args[0])
	if err != nil {
		return err
	}
	returns, raises, exits, restorer := rawHandlers()
	action := sigaction{flags: saOnStack | saRestorer | saNoDefer | saResetHand, restorer: restorer}
	switch args[1] {
	case "returns", "without-stack":
		action.handler = returns
	case "raises":
		action.handler = raises
	case "exits":
		action.handler = exits
	default:
		return fmt.Errorf("no such handler: %q (returns, raises, exits or without-stack)", args[1])
	}
	if args[1] == "without-stack" {
		// Block all others, such as the SIGURG of Go's scheduler: their handlers would have no stack either.
		others := everySignal
		others.Val[(sig-1)/64] &^= 1 << ((sig - 1) % 64)
		if err := unix.PthreadSigmask(unix.SIG_BLOCK, &others, nil); err != nil {
			return fmt.Errorf("sigprocmask: %w", err)
		}
		// sigaltstack(2) does not check the address.
		stack := struct{ start, flags, bytes uint64 }{start: nowhere, bytes: nowhere}
		if _, _, errno := unix.RawSyscall(unix.SYS_SIGALTSTACK, uintptr(unsafe.Pointer(&stack)), 0, 0); errno != 0 {
			return fmt.Errorf("sigaltstack: %w", errno)
		}
	}
	if err := setAction(sig, &action); err != nil {
		return err
	}
	keepsHandler = sig
	return run(args[2:])
}

// keepsHandler is the signal whose handler defaultActions leaves in place; 0: none.
var keepsHandler syscall.Signal
