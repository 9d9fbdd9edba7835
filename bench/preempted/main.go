// Command preempted is a busy Go program whose goroutines the runtime preempts continually: each garbage collection stops them, with a
// SIGURG to each thread. It prints how long COUNT collections took.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: preempted COUNT")
		os.Exit(64)
	}
	count, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fmt.Fprintf(os.Stderr, "preempted: COUNT is %q; it must be a number\n", os.Args[1])
		os.Exit(64)
	}
	for range max(1, runtime.GOMAXPROCS(0)-1) { // One processor stays free for the collections.
		go work()
	}
	start := time.Now()
	for range count {
		runtime.GC()
	}
	fmt.Printf("{\"count\":%d,\"wall_ns\":%d}\n", count, time.Since(start).Nanoseconds())
}

// work has no function call, so only a signal preempts it.
func work() {
	for i := 1; ; i++ {
		i ^= i << 13
	}
}
