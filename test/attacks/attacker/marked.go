// A crash with a secret on the stack: none of its bytes may be found anywhere afterwards.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"runtime/debug"
	"strings"
)

// marked puts the arguments, joined, on its stack: no program has them as a constant. It waits for nothing and crashes by SIGABRT, after a fault
// that Go's runtime handles.
func marked(args []string) error {
	debug.SetTraceback("crash")
	return crashBeside(strings.Join(args, ""))
}

//go:noinline
func crashBeside(secret string) error {
	var stack [2048]byte
	for at := 0; at+len(secret) <= len(stack); at += len(secret) {
		copy(stack[at:], secret)
	}
	var nowhere *int
	*nowhere = int(stack[len(secret)])
	return nil
}
