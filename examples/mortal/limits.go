// Deaths at a limit: processor time, file size, memory, forbidden system calls; and the prefixes `as` and `in-cgroup`.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	cpuSoftSeconds  = 1
	fileLimitBytes  = 4096
	memoryMaxBytes  = 512 << 20
	memoryStepBytes = 1 << 20
)

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
	for work := byte(0); ; work++ {
		keep(work)
	}
}

func fileLimit([]string) error {
	if err := defaultActions(); err != nil {
		return err
	}
	file, err := os.CreateTemp("", "mortal-*")
	if err != nil {
		return err
	}
	_ = os.Remove(file.Name())
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: fileLimitBytes, Max: fileLimitBytes}); err != nil {
		return err
	}
	for range 2 {
		if _, err := unix.Write(int(file.Fd()), make([]byte, fileLimitBytes)); err != nil {
			return err
		}
	}
	return nil
}

// seccomp installs the smallest filter there is: getppid(2) kills the process, everything else is allowed.
func seccomp([]string) error {
	if err := defaultActions(); err != nil {
		return err
	}
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_GETPPID},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_KILL_PROCESS},
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

// eatMemory takes pages from the kernel itself, so that Go's collector has no part in it.
func eatMemory([]string) error {
	if err := defaultActions(); err != nil {
		return err
	}
	for eaten := 0; eaten < memoryMaxBytes; eaten += memoryStepBytes {
		piece, err := unix.Mmap(-1, 0, memoryStepBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			return err
		}
		for page := 0; page < len(piece); page += os.Getpagesize() {
			piece[page] = 1
		}
	}
	return fmt.Errorf("no memory limit was hit with %d MiB", memoryMaxBytes>>20)
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
