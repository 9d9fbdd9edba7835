// SPDX-License-Identifier: Apache-2.0

// Package exitcode attaches to an error the code with which the loader exits. Only main exits.
package exitcode

import (
	"errors"
	"fmt"
)

// The exit codes, those of sysexits.h where it has one.
const (
	Failure     = 1  // any other error
	Unavailable = 69 // EX_UNAVAILABLE: the kernel does not support it, or another program or its pins are in the way
	Permission  = 77 // EX_NOPERM: a capability is missing
	Config      = 78 // EX_CONFIG: a flag or an environment variable is wrong
)

// Error is an error with an exit code. Its text names the remedy.
type Error struct {
	Code int
	err  error
}

func (e *Error) Error() string { return e.err.Error() }

// Unwrap returns the error without its code.
func (e *Error) Unwrap() error { return e.err }

// Errorf returns the error of fmt.Errorf with an exit code.
func Errorf(code int, format string, arguments ...any) error {
	return &Error{code, fmt.Errorf(format, arguments...)}
}

// Of returns the exit code of err, or of the error that it wraps; Failure if there is none. err is not nil.
func Of(err error) int {
	var coded *Error
	if errors.As(err, &coded) {
		return coded.Code
	}
	return Failure
}
