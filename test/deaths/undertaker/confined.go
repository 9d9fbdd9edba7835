// Cases of bare processes under seccomp. They have a single thread, so killing the thread terminates the process.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// killsOnlyThread has a filter with SECCOMP_RET_KILL_THREAD for getppid(2).
func killsOnlyThread(u *undertaker) []call {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_GETPPID},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_KILL_THREAD},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	u.held = append(u.held, program)
	return []call{
		u.defaultAction(unix.SIGSYS),
		{number: unix.SYS_PRCTL, args: [6]uintptr{unix.PR_SET_NO_NEW_PRIVS, 1}},
		{number: unix.SYS_PRCTL, args: [6]uintptr{unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(program))}},
		{number: unix.SYS_GETPPID},
		exitGroup(anExitOf1),
	}
}

// strict mode allows read, write, exit and sigreturn. Any other call is SIGKILL.
func strict(*undertaker) []call {
	return []call{
		{number: unix.SYS_PRCTL, args: [6]uintptr{unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_STRICT}},
		{number: unix.SYS_GETPPID},
		exitThread(anExitOf1),
	}
}
