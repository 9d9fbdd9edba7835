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
	{"illegal-instruction", "", "runs an instruction that the processor does not have", execute(undefined)},
	{"privileged-instruction", "", "runs one that only the kernel may (amd64 only)", execute(privileged)},
	{"division-by-zero", "", "divides by zero (amd64 only)", execute(divisionByZero)},
	{"breakpoint", "", "runs into a breakpoint, and no debugger is there", execute(breakpoint)},
	{"write-read-only", "", "writes to memory that is read-only", writeReadOnly},
	{"execute-data", "", "calls what is no code", executeData},
	{"jump-to-null", "", "calls a function at address 0", jumpToNull},
	{"stack-overflow", "", "uses more stack than its limit", stackOverflow},
	{"segfault-with-memory", "MIB", "takes so much memory, prints `ready` and segfaults", segfaultWithMemory},
	{"panic", "", "segfaults, and Go's handler prints and ends it with code 2 (SIGABRT with GOTRACEBACK=crash)", panics},
	{"abort", "", "sends SIGABRT to itself, as abort(3) does", abort},
	{"raise", "SIGNAL", "sends SIGNAL to itself", raise},
	{"raise-in-thread", "SIGNAL", "the same, from another thread to the first", raiseInThread},
	{"exit", "CODE", "ends with CODE", exit},
	{"exit-in-thread", "CODE", "exit_group(CODE) in a thread that is not the first", exitInThread},
	{"leader-first", "CODE CODE", "the first thread exits with the first code, then another one ends the process with the second", leaderFirst},
	{"leader-gone", "", "the first thread exits, another one prints `ready` and lives on", leaderGone},
	{"exec-in-thread", "WAY…", "a thread that is not the first executes `mortal WAY…`", execInThread},
	{"wait", "", "prints `ready` and lives until a signal comes (60 s at most)", wait},
	{"wait-caught", "", "the same, with the handlers of Go's runtime left in place", waitCaught},
	{"wait-with-threads", "COUNT", "the same as `wait`, with so many threads more", waitWithThreads},
	{"exit-on", "SIGNAL CODE", "prints `ready`, catches SIGNAL and then ends with CODE", exitOn},
	{"ignore-term", "", "prints `ready`, ignores SIGTERM and lives on", ignoreTerm},
	{"broken-pipe", "", "writes to a pipe without a reader", brokenPipe},
	{"broken-socket", "", "writes to a socket whose peer has closed", brokenSocket},
	{"broken-pipe-blocked", "", "the same as `broken-pipe`, and SIGPIPE is blocked for a while", brokenPipeBlocked},
	{"alarm", "", "sets an interval timer and waits for its SIGALRM", alarm},
	{"work-timer", "virtual|prof", "works until a timer that counts its work sends SIGVTALRM or SIGPROF", workTimer},
	{"posix-timer", "SIGNAL", "works until a timer of timer_create(2) sends SIGNAL", posixTimer},
	{"signal-on-input", "SIGNAL FIFO", "prints `ready`, and waits until the kernel sends SIGNAL because there is input", signalOnInput},
	{"signal-on-mail", "NAME", "prints `ready`, and waits until the kernel sends SIGUSR1 because that POSIX message queue got a message", signalOnMail},
	{"cpu-limit", "SECONDS", "works beyond its soft RLIMIT_CPU of one second; the hard one is SECONDS", cpuLimit},
	{"file-limit", "", "writes beyond its RLIMIT_FSIZE", fileLimit},
	{"truncate-limit", "", "makes a file longer than its RLIMIT_FSIZE", truncateLimit},
	{"realtime-limit", "SOFT HARD", "works beyond its RLIMIT_RTTIME of so many microseconds", realTimeLimit},
	{"seccomp", "", "forbids itself getppid(2), then calls it", seccompProcess},
	{"seccomp-trap", "", "the same, and the filter answers with SIGSYS", seccompTrap},
	{"seccomp-thread", "CODE", "the same in a thread, which alone dies of it; ends with CODE", seccompThread},
	{"hold-memory", "MIB", "takes so much memory, and then does the same as `wait`", holdMemory},
	{"eat-memory", "", "touches memory until the kernel stops it (512 MiB at most)", eatMemory},
}

// prefixes change something about the process and then let it die in the way that follows.
func prefixes() []way {
	return []way{
		{"as", "UID WAY…", "becomes that user first", as},
		{"in-cgroup", "DIRECTORY WAY…", "enters that cgroup first", inCgroup},
		{"catch-then", "SIGNAL WAY…", "prints `ready`, catches SIGNAL and then dies in the way that follows", catchThen},
		{"handle", "SIGNAL HOW WAY…", "first installs a handler, for one time, that `returns`, `raises` the signal again, `exits` with code 7, or is `without-stack`", handle},
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
