// SPDX-License-Identifier: Apache-2.0

// Package exitcode gives an error the code with which the loader exits. The codes are those of sysexits.h where it has one.
// Only main exits.
package exitcode

import (
	"errors"
	"fmt"
)

const (
	Failure     = 1
	Unavailable = 69 // EX_UNAVAILABLE: the kernel, or what exists already, does not allow it
	Permission  = 77 // EX_NOPERM
	Config      = 78 // EX_CONFIG
)

// Error is an error with an exit code. Its text names the remedy.
type Error struct {
	Code int
	err  error
}

func (e *Error) Error() string { return e.err.Error() }
func (e *Error) Unwrap() error { return e.err }

// Errorf is fmt.Errorf with an exit code.
func Errorf(code int, format string, arguments ...any) error {
	return &Error{code, fmt.Errorf(format, arguments...)}
}

// Of returns the exit code of err: Failure if none was given.
func Of(err error) int {
	var coded *Error
	if errors.As(err, &coded) {
		return coded.Code
	}
	return Failure
}
