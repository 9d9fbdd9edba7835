// Command mortal terminates in the way that its arguments name: `mortal segfault`, `mortal exit 3`, `mortal wait`.
//
// The demo and the tests run it and compare what whodunit reports with what really happened, so every termination here is
// real: Go's runtime handles most signals, and each way first restores the default action (default.go). ../README.md lists
// the record that each way yields.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// A way is one way to terminate. Its function returns only if it failed.
type way struct {
	name string
	args string
	what string
	run  func(args []string) error
}

var ways = []way{
	{"segfault", "", "writes to address 0xbeef", segfault},
	{"segfault-in-thread", "", "the same as `segfault`, in a thread that is not the first", segfaultInThread},
	{"general-protection", "", "reads a non-canonical address (amd64 only)", generalProtection},
	{"bus-error", "", "reads a mapping beyond the end of its file", busError},
	{"illegal-instruction", "", "executes an undefined instruction", execute(undefined)},
	{"privileged-instruction", "", "executes a privileged instruction (amd64 only)", execute(privileged)},
	{"division-by-zero", "", "divides by zero (amd64 only)", execute(divisionByZero)},
	{"breakpoint", "", "executes a breakpoint instruction without a debugger", execute(breakpoint)},
	{"write-read-only", "", "writes to read-only memory", writeReadOnly},
	{"execute-data", "", "calls an address in data", executeData},
	{"jump-to-null", "", "calls a function at address 0", jumpToNull},
	{"stack-overflow", "", "uses more stack than its limit", stackOverflow},
	{"segfault-with-memory", "MIB", "allocates that much memory, prints `ready` and segfaults", segfaultWithMemory},
	{"panic", "", "segfaults; Go's handler prints a trace and exits with code 2 (SIGABRT with GOTRACEBACK=crash)", panics},
	{"abort", "", "sends SIGABRT to itself, as abort(3) does", abort},
	{"raise", "SIGNAL", "sends SIGNAL to itself", raise},
	{"raise-in-thread", "SIGNAL", "the same as `raise`, from another thread to the first", raiseInThread},
	{"exit", "CODE", "exits with CODE", exit},
	{"exit-in-thread", "CODE", "exit_group(CODE) in a thread that is not the first", exitInThread},
	{"leader-first", "CODE CODE", "the first thread exits with the first code, then another one terminates the process with the second", leaderFirst},
	{"leader-gone", "", "the first thread exits, another one prints `ready` and keeps running", leaderGone},
	{"exec-in-thread", "WAY…", "a thread that is not the first executes `mortal WAY…`", execInThread},
	{"wait", "", "prints `ready` and waits for a signal (60 s at most)", wait},
	{"wait-caught", "", "the same as `wait`, with the handlers of Go's runtime", waitCaught},
	{"wait-with-threads", "COUNT", "the same as `wait`, with that many more threads", waitWithThreads},
	{"exit-on", "SIGNAL CODE", "prints `ready`, handles SIGNAL, then exits with CODE", exitOn},
	{"ignore-term", "", "prints `ready`, ignores SIGTERM and keeps running", ignoreTerm},
	{"broken-pipe", "", "writes to a pipe without a reader", brokenPipe},
	{"broken-socket", "", "writes to a socket whose peer has closed", brokenSocket},
	{"broken-pipe-blocked", "", "the same as `broken-pipe`, with SIGPIPE blocked during the write", brokenPipeBlocked},
	{"alarm", "", "sets an interval timer and waits for its SIGALRM", alarm},
	{"work-timer", "virtual|prof", "computes until an interval timer of CPU time sends SIGVTALRM or SIGPROF", workTimer},
	{"posix-timer", "SIGNAL", "computes until a POSIX timer (timer_create(2)) sends SIGNAL", posixTimer},
	{"signal-on-input", "SIGNAL FIFO", "prints `ready`, and waits until the kernel sends SIGNAL for input on FIFO", signalOnInput},
	{"signal-on-mail", "NAME", "prints `ready`, and waits until the kernel sends SIGUSR1 for a message in that POSIX message queue", signalOnMail},
	{"cpu-limit", "SECONDS", "computes beyond its soft RLIMIT_CPU of one second; the hard limit is SECONDS", cpuLimit},
	{"file-limit", "", "writes beyond its RLIMIT_FSIZE", fileLimit},
	{"truncate-limit", "", "extends a file beyond its RLIMIT_FSIZE", truncateLimit},
	{"realtime-limit", "SOFT HARD", "computes beyond its RLIMIT_RTTIME, in microseconds", realTimeLimit},
	{"seccomp", "", "installs a filter that forbids getppid(2), then calls it", seccompProcess},
	{"seccomp-trap", "", "the same as `seccomp`, with SECCOMP_RET_TRAP", seccompTrap},
	{"seccomp-thread", "CODE", "the same as `seccomp`, but only the calling thread is killed; exits with CODE", seccompThread},
	{"hold-memory", "MIB", "allocates that much memory, then does the same as `wait`", holdMemory},
	{"eat-memory", "", "allocates memory until the kernel kills it (512 MiB at most)", eatMemory},
}

// prefixes change the process first, then run the way that follows.
func prefixes() []way {
	return []way{
		{"as", "UID WAY…", "switches to that user first", as},
		{"in-cgroup", "DIRECTORY WAY…", "enters that cgroup first", inCgroup},
		{"catch-then", "SIGNAL WAY…", "prints `ready`, handles SIGNAL, then runs the way that follows", catchThen},
		{"handle", "SIGNAL HOW WAY…", "first installs a handler for one delivery, which `returns`, `raises` the signal again, `exits` with code 7, or cannot run (`without-stack`)", handle},
	}
}

func init() {
	// The main goroutine stays on the first thread, so that every other goroutine runs on another thread.
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
		if err := w.run(args[1:]); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		return fmt.Errorf("%s: still alive", w.name)
	}
	return fmt.Errorf("unknown way: %q (`mortal help` lists the ways)", args[0])
}

func printWays() {
	fmt.Println("mortal WAY: terminates in that way")
	for _, w := range append(prefixes(), ways...) {
		fmt.Printf("  %-30s %s\n", strings.TrimSpace(w.name+" "+w.args), w.what)
	}
}
