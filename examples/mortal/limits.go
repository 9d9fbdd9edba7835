// Limits: CPU time, real time, file size, memory, forbidden system calls; and the prefixes `as` and `in-cgroup`.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	cpuSoftSeconds  = 1
	fileLimitBytes  = 4096
	memoryMaxBytes  = 512 << 20
	memoryStepBytes = 1 << 20
)

// realTimePriority gives this thread a real-time priority.
func realTimePriority() error {
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
	if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
		return fmt.Errorf("SCHED_FIFO: %w", err)
	}
	return nil
}

// work never sleeps. It exits after a while if no signal arrives.
func work() {
	for end := time.Now().Add(lifeLongestMs * time.Millisecond); time.Now().Before(end); {
	}
}

func cpuLimit(args []string) error {
	hard, err := strconv.ParseUint(args[0], 10, 32)
	if err != nil {
		return fmt.Errorf("hard limit %q: a number of seconds is needed", args[0])
	}
	if err := defaultActions(); err != nil {
		return err
	}
	if err := unix.Setrlimit(unix.RLIMIT_CPU, &unix.Rlimit{Cur: cpuSoftSeconds, Max: hard}); err != nil {
		return err
	}
	work()
	return nil
}

// limitedFile is an empty file, and no file of this process may grow beyond fileLimitBytes.
func limitedFile() (*os.File, error) {
	if err := defaultActions(); err != nil {
		return nil, err
	}
	file, err := os.CreateTemp("", "mortal-*")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(file.Name())
	return file, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: fileLimitBytes, Max: fileLimitBytes})
}

func fileLimit([]string) error {
	file, err := limitedFile()
	if err != nil {
		return err
	}
	for range 2 {
		if _, err := unix.Write(int(file.Fd()), make([]byte, fileLimitBytes)); err != nil {
			return err
		}
	}
	return nil
}

// truncateLimit reaches the limit without writing.
func truncateLimit([]string) error {
	file, err := limitedFile()
	if err != nil {
		return err
	}
	return unix.Ftruncate(int(file.Fd()), fileLimitBytes+1)
}

// realTimeLimit computes at a real-time priority, without sleeping, beyond RLIMIT_RTTIME.
func realTimeLimit(args []string) error {
	soft, err := strconv.ParseUint(args[0], 10, 32)
	if err != nil {
		return fmt.Errorf("soft limit %q: a number of microseconds is needed", args[0])
	}
	hard, err := strconv.ParseUint(args[1], 10, 32)
	if err != nil {
		return fmt.Errorf("hard limit %q: a number of microseconds is needed", args[1])
	}
	if err := defaultActions(); err != nil {
		return err
	}
	if err := unix.Setrlimit(unix.RLIMIT_RTTIME, &unix.Rlimit{Cur: soft, Max: hard}); err != nil {
		return err
	}
	if err := realTimePriority(); err != nil {
		return err
	}
	work()
	return nil
}

// seccomp installs the smallest filter: getppid(2) gets that action, everything else is allowed.
func seccomp(consequence uint32) error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_GETPPID},
		{Code: unix.BPF_RET | unix.BPF_K, K: consequence},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil {
		return err
	}
	unix.Getppid()
	return nil
}

func seccompProcess([]string) error {
	if err := defaultActions(); err != nil {
		return err
	}
	return seccomp(unix.SECCOMP_RET_KILL_PROCESS)
}

func seccompTrap([]string) error {
	if err := defaultActions(); err != nil {
		return err
	}
	return seccomp(unix.SECCOMP_RET_TRAP)
}

// seccompThread: seccomp kills one thread, and the process exits later.
func seccompThread(args []string) error {
	code, err := exitCode(args[0])
	if err != nil {
		return err
	}
	go func() {
		runtime.LockOSThread()
		_ = seccomp(unix.SECCOMP_RET_KILL_THREAD)
	}()
	time.Sleep(leaderGoneAfter)
	os.Exit(code)
	return nil
}

// takeMemory maps pages directly, so that Go's garbage collector is not involved.
func takeMemory(bytes int) error {
	piece, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	for page := 0; page < len(piece); page += os.Getpagesize() {
		piece[page] = 1
	}
	return nil
}

func touch(mebibytes string) error {
	number, err := strconv.Atoi(mebibytes)
	if err != nil || number < 1 || number > memoryMaxBytes>>20 {
		return fmt.Errorf("memory %q: a number of MiB up to %d is needed", mebibytes, memoryMaxBytes>>20)
	}
	return takeMemory(number << 20)
}

func eatMemory([]string) error {
	if err := defaultActions(); err != nil {
		return err
	}
	for eaten := 0; eaten < memoryMaxBytes; eaten += memoryStepBytes {
		if err := takeMemory(memoryStepBytes); err != nil {
			return err
		}
	}
	return fmt.Errorf("no memory limit was hit with %d MiB", memoryMaxBytes>>20)
}

func holdMemory(args []string) error {
	if err := touch(args[0]); err != nil {
		return err
	}
	return wait(nil)
}

func as(args []string) error {
	uid, err := strconv.Atoi(args[0])
	if err != nil {
		return fmt.Errorf("user id %q: a number is needed", args[0])
	}
	if err := syscall.Setuid(uid); err != nil {
		return err
	}
	return run(args[1:])
}

func inCgroup(args []string) error {
	procs := filepath.Join(args[0], "cgroup.procs")
	if err := os.WriteFile(procs, []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
		return err
	}
	return run(args[1:])
}
