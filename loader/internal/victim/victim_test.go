// SPDX-License-Identifier: Apache-2.0

package victim

import (
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// init becomes a victim, which Terminate starts as this program.
func init() {
	if len(os.Args) == 6 && os.Args[1] == Command {
		panic(Run(Way(os.Args[3]), os.Args[5]))
	}
}

// On a machine with one processor, Go runs one goroutine at a time: the thread that ends must not keep its turn.
func TestTheLastThreadExitsWithOneProcessor(t *testing.T) {
	runtime.LockOSThread() // Never unlocked: the thread goes with its processors.
	var first unix.CPUSet
	if err := unix.SchedGetaffinity(0, &first); err != nil {
		t.Fatal(err)
	}
	for cpu, left := 0, first.Count(); left > 1; cpu++ {
		if first.IsSet(cpu) {
			first.Clear(cpu)
			left--
		}
	}
	if err := unix.SchedSetaffinity(0, &first); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	victim, err := Terminate(LastThread, "one-processor")
	if err != nil || victim.Status.ExitStatus() != lastCode || time.Since(begin) > firstLongest {
		t.Errorf("status %#x after %s, %v", uint32(victim.Status), time.Since(begin), err)
	}
}
