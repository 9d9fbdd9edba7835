// Processes that look like others: a forged signal code, another name, other users, a program that is in memory only.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// exit waits for a line or the end of standard input, then exits. `exit CODE`.
func exit(args []string) error {
	code, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	ready()
	os.Exit(code)
	return nil
}

// queue sends a signal to a process with a si_code of its choice, as a process of another name. `queue COMM CODE PID`.
func queue(args []string) error {
	code, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	if err := os.WriteFile("/proc/self/comm", []byte(args[0]), 0); err != nil {
		return err
	}
	var siginfo [128]byte // the size in the kernel's interface
	*(*int32)(unsafe.Pointer(&siginfo[0])) = int32(unix.SIGTERM)
	*(*int32)(unsafe.Pointer(&siginfo[8])) = int32(code)
	_, _, errno := syscall.Syscall(unix.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(unix.SIGTERM), uintptr(unsafe.Pointer(&siginfo)))
	if errno != 0 {
		return fmt.Errorf("rt_sigqueueinfo with code %d: %w", code, errno)
	}
	ready()
	return nil
}

// send sends SIGTERM with kill(2). `send PID`.
func send(args []string) error {
	pid, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	if err := unix.Kill(pid, unix.SIGTERM); err != nil {
		return err
	}
	ready()
	return nil
}

// asUsers runs another attack with these users. `asUsers REAL EFFECTIVE ATTACK [ARGUMENT]...`.
func asUsers(args []string) error {
	real, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	effective, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	if err := syscall.Setresuid(real, effective, -1); err != nil {
		return err
	}
	return syscall.Exec("/proc/self/exe", append(os.Args[:1:1], args[2:]...), os.Environ())
}

// inMemory runs another attack from a memfd. `inMemory NAME ATTACK [ARGUMENT]...`.
func inMemory(args []string) error {
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	descriptor, err := unix.MemfdCreate(args[0], unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(descriptor), args[0])
	if _, err := file.Write(program); err != nil {
		return err
	}
	return syscall.Exec(fmt.Sprintf("/proc/self/fd/%d", descriptor), append([]string{args[0]}, args[1:]...), os.Environ())
}

// privsep changes its root to an empty directory after it was executed, as sshd does for its unprivileged part. `privsep DIRECTORY`.
func privsep(args []string) error {
	if err := unix.Chroot(args[0]); err != nil {
		return err
	}
	return exit([]string{"3"})
}

// ready prints a line, then waits for a line or the end of standard input.
func ready() {
	fmt.Println("ready")
	bufio.NewReader(os.Stdin).ReadString('\n')
}
