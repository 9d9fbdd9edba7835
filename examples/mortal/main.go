// Command mortal dies, in the way that its arguments name: `mortal segfault`, `mortal exit 3`, `mortal wait`.
//
// The demo and the conformance suite let it die and compare what whodunit reports with what really happened, so every
// death here is a true one: Go's runtime catches most signals, and each way first gives them back to the kernel
// (default.go). ../README.md lists the record that each way yields.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// A way is one way to die. Its function does not return: if it does, the death did not happen, and that is an error.
type way struct {
	name string
	args string
	what string
	die  func(args []string) error
}

var ways = []way{
	{"segfault", "", "writes to address 0xbeef", segfault},
	{"segfault-in-thread", "", "the same, in a thread that is not the first", segfaultInThread},
	{"general-protection", "", "reads a non-canonical address (amd64 only)", generalProtection},
	{"bus-error", "", "reads a mapping beyond the end of its file", busError},
	{"illegal-instruction", "", "runs an instruction that the processor does not have", illegalInstruction},
	{"panic", "", "segfaults, and Go's handler prints and ends it with code 2 (SIGABRT with GOTRACEBACK=crash)", panics},
	{"abort", "", "sends SIGABRT to itself, as abort(3) does", abort},
	{"raise", "SIGNAL", "sends SIGNAL to itself", raise},
	{"exit", "CODE", "ends with CODE", exit},
	{"exit-in-thread", "CODE", "exit_group(CODE) in a thread that is not the first", exitInThread},
	{"leader-first", "CODE CODE", "the first thread exits with the first code, then another one ends the process with the second", leaderFirst},
	{"leader-gone", "", "the first thread exits, another one prints `ready` and lives on", leaderGone},
	{"exec-in-thread", "CODE", "a thread that is not the first executes `mortal exit CODE`", execInThread},
	{"wait", "", "prints `ready` and lives until a signal comes (60 s at most)", wait},
	{"wait-caught", "", "the same, with the handlers of Go's runtime left in place", waitCaught},
	{"exit-on-term", "CODE", "prints `ready`, catches SIGTERM and then ends with CODE", exitOnTerm},
	{"ignore-term", "", "prints `ready`, ignores SIGTERM and lives on", ignoreTerm},
	{"broken-pipe", "", "writes to a pipe that nobody reads", brokenPipe},
	{"alarm", "", "sets an interval timer and waits for its SIGALRM", alarm},
	{"posix-timer", "", "the same with timer_create(2)", posixTimer},
	{"cpu-limit", "SECONDS", "works beyond its soft RLIMIT_CPU of one second; the hard one is SECONDS", cpuLimit},
	{"file-limit", "", "writes beyond its RLIMIT_FSIZE", fileLimit},
	{"seccomp", "", "forbids itself getppid(2), then calls it", seccomp},
	{"eat-memory", "", "touches memory until the kernel stops it (512 MiB at most)", eatMemory},
}

// prefixes change something about the process and then let it die in the way that follows.
func prefixes() []way {
	return []way{
		{"as", "UID WAY…", "becomes that user first", as},
		{"in-cgroup", "DIRECTORY WAY…", "enters that cgroup first", inCgroup},
	}
}

func init() {
	// The main goroutine stays on the first thread, so that "a thread that is not the first" means what it says.
	runtime.LockOSThread()
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "mortal: %v\n", err)
		os.Exit(64)
	}
}

func run(args []string) error {
	if len(args) == 0 || args[0] == "help" {
		printWays()
		return nil
	}
	for _, w := range append(prefixes(), ways...) {
		if w.name != args[0] {
			continue
		}
		if want := len(strings.Fields(w.args)); len(args)-1 < want {
			return fmt.Errorf("%s needs: mortal %s %s", w.name, w.name, w.args)
		}
		if err := w.die(args[1:]); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		return fmt.Errorf("%s: still alive", w.name)
	}
	return fmt.Errorf("no such way to die: %q (`mortal help` lists them)", args[0])
}

func printWays() {
	fmt.Println("mortal WAY: dies in that way")
	for _, w := range append(prefixes(), ways...) {
		fmt.Printf("  %-30s %s\n", strings.TrimSpace(w.name+" "+w.args), w.what)
	}
}
