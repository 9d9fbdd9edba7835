// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package main

/*
static volatile int *nowhere;
static __attribute__((noinline)) int crashes(int x) { *nowhere = x; return x; }
static __attribute__((noinline)) int called(int x) { return crashes(x + 1) + 1; }
*/
import "C"

//go:noinline
func callsC(x int) int { return int(C.called(C.int(x))) + sink }

//go:noinline
func inC() { sink = callsC(3) }
