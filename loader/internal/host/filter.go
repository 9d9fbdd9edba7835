// SPDX-License-Identifier: Apache-2.0

// The system calls that the loader makes once it serves. Whatever it needs of a file, a pin or /proc, it has opened before.

package host

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"golang.org/x/sys/unix"
)

// ErrNoFilters means that the kernel was built without CONFIG_SECCOMP_FILTER.
var ErrNoFilters = errors.New("this kernel has no seccomp filters (CONFIG_SECCOMP_FILTER)")

// namespaceFlags are those of clone(2) that make a namespace.
const namespaceFlags = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP

// served are the system calls of serving, whatever their arguments are. The connections and the log: nothing can be opened, so these reach what is
// open.
var served = append([]string{"pread64", "accept4", "getsockopt", "getsockname", "getpeername", "shutdown", "waitid", "wait4", "ppoll"}, running...)

// running are the system calls of every Go program.
var running = []string{
	"read", "write", "close",
	// Waiting.
	"epoll_pwait", "epoll_ctl", "futex", "nanosleep", "clock_nanosleep", "restart_syscall",
	// Go's runtime: memory, threads, signals, clocks.
	"munmap", "madvise", "sched_yield", "sched_getaffinity", "gettid", "getpid", "sigaltstack", "rt_sigprocmask", "rt_sigaction", "rt_sigreturn",
	"clock_gettime", "getrandom", "exit", "exit_group",
}

// servedIf are the system calls of serving with these arguments only. Several entries of one call are alternatives.
func servedIf() []seccomp.NameWithConditions {
	// Whether a process exists, for probes.Sweep.
	calls := append(runningIf(), seccomp.NameWithConditions{Name: "kill", Conditions: seccomp.ArgumentConditions{{Argument: 1, Operation: seccomp.Equal, Value: 0}}})
	for _, command := range []uint64{
		unix.BPF_MAP_LOOKUP_ELEM, unix.BPF_MAP_UPDATE_ELEM, unix.BPF_MAP_DELETE_ELEM, unix.BPF_MAP_GET_NEXT_KEY,
		unix.BPF_MAP_LOOKUP_BATCH, unix.BPF_MAP_LOOKUP_AND_DELETE_BATCH, unix.BPF_MAP_DELETE_BATCH, unix.BPF_OBJ_GET_INFO_BY_FD,
	} {
		calls = append(calls, seccomp.NameWithConditions{Name: "bpf", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.Equal, Value: command}}})
	}
	return calls
}

// runningIf is to running what servedIf is to served.
func runningIf() []seccomp.NameWithConditions {
	own := uint64(os.Getpid())
	calls := []seccomp.NameWithConditions{
		{Name: "mmap", Conditions: seccomp.ArgumentConditions{{Argument: 2, Operation: seccomp.BitsNotSet, Value: unix.PROT_EXEC}}},
		// A thread, and no process.
		{Name: "clone", Conditions: seccomp.ArgumentConditions{
			{Argument: 0, Operation: seccomp.BitsSet, Value: unix.CLONE_THREAD}, {Argument: 0, Operation: seccomp.BitsNotSet, Value: namespaceFlags},
		}},
		{Name: "tgkill", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.Equal, Value: own}}},
		// Names of mappings, which Go's runtime sets.
		{Name: "prctl", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.Equal, Value: unix.PR_SET_VMA}}},
	}
	if runtime.GOARCH == "amd64" {
		const setFS = 0x1002 // ARCH_SET_FS of asm/prctl.h, for the thread-local storage of a new thread
		calls = append(calls, seccomp.NameWithConditions{Name: "arch_prctl", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.Equal, Value: setFS}}})
	}
	return calls
}

// reading are the system calls of a process that reads files, whatever their arguments are.
var reading = append([]string{"pread64", "fstat", "fcntl", "lseek"}, running...)

// readingIf is to reading what servedIf is to served.
func readingIf() []seccomp.NameWithConditions {
	calls := runningIf()
	for _, call := range []string{"openat", "open_by_handle_at"} {
		readOnly := seccomp.Condition{Argument: 2, Operation: seccomp.BitsNotSet, Value: unix.O_ACCMODE | unix.O_CREAT | unix.O_TRUNC}
		calls = append(calls, seccomp.NameWithConditions{Name: call, Conditions: seccomp.ArgumentConditions{readOnly}})
	}
	return calls
}

// starting are the system calls of a process that starts one that reads files, and of that until it has its own filter, whatever their arguments are.
var starting = append([]string{
	"ppoll", "execve", "pipe2", "dup3", "wait4", "waitid", "pidfd_send_signal", "prlimit64",
	// The start of a Go program, and of its filter.
	"epoll_create1", "eventfd2", "readlinkat", "uname", "brk", "capget", "capset", "seccomp",
	// Of its threads, to change capabilities on all of them. The numbers of its processes are not known yet.
	"tgkill",
}, reading...)

// startingIf is to starting what servedIf is to served.
func startingIf() []seccomp.NameWithConditions {
	calls := slices.DeleteFunc(readingIf(), func(call seccomp.NameWithConditions) bool {
		return call.Name == "clone" || call.Name == "prctl" || call.Name == "tgkill"
	})
	calls = append(calls,
		seccomp.NameWithConditions{Name: "clone", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.BitsNotSet, Value: namespaceFlags}}},
		// One that hangs.
		seccomp.NameWithConditions{Name: "kill", Conditions: seccomp.ArgumentConditions{{Argument: 1, Operation: seccomp.Equal, Value: uint64(unix.SIGKILL)}}},
	)
	for _, option := range []uint64{unix.PR_SET_VMA, unix.PR_SET_NO_NEW_PRIVS, unix.PR_CAP_AMBIENT, unix.PR_CAPBSET_READ, unix.PR_SET_PDEATHSIG, unix.PR_SET_KEEPCAPS, unix.PR_GET_SECUREBITS} {
		calls = append(calls, seccomp.NameWithConditions{Name: "prctl", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.Equal, Value: option}}})
	}
	return calls
}

// FilterSystemCalls makes every other system call, of any ABI, fail with EPERM, on all threads and for ever. It needs PR_SET_NO_NEW_PRIVS. The
// error is ErrNoFilters if the kernel cannot do this.
func FilterSystemCalls() error {
	return filter(served, servedIf())
}

// FilterReading is FilterSystemCalls for a process that opens files for reading, and talks by pipes: it has no sockets and no BPF, and writes to no
// file but what is open.
func FilterReading() error {
	return filter(reading, readingIf())
}

// FilterStarting is FilterSystemCalls for a process that starts those of FilterReading. They inherit it.
func FilterStarting() error {
	return filter(starting, startingIf())
}

func filter(names []string, conditional []seccomp.NameWithConditions) error {
	if !seccomp.Supported() {
		return ErrNoFilters
	}
	err := seccomp.LoadFilter(seccomp.Filter{
		Flag: seccomp.FilterFlagTSync,
		Policy: seccomp.Policy{
			DefaultAction: seccomp.ActionErrno,
			Syscalls:      []seccomp.SyscallGroup{{Action: seccomp.ActionAllow, Names: names, NamesWithCondtions: conditional}},
		},
	})
	if err != nil {
		return fmt.Errorf("filter system calls: %w", err)
	}
	return nil
}
