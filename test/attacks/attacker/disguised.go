// Processes that look like others: a forged signal code, another name, other users, a program that is in memory only.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
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

// undescribed lets a process that calls itself systemd send SIGTERM, then so many others send signals that the probes forget the first. Only
// then is the signal delivered. `undescribed COUNT`.
func undescribed(args []string) error {
	var gate [2]int
	if err := unix.Pipe(gate[:]); err != nil {
		return err
	}
	victim := fork(unix.SIGCHLD, []call{
		defaultAction(unix.SIGTERM),
		blockOnly(unix.SIGTERM),
		{number: unix.SYS_READ, args: [6]uintptr{uintptr(gate[0]), hold(new([1]byte)), 1}},
		blockOnly(),
	})
	const queued = 40 // A realtime signal is queued, however many are pending.
	target := fork(unix.SIGCHLD, []call{defaultAction(queued), blockOnly(queued)})
	time.Sleep(100 * time.Millisecond) // until both have blocked the signals
	sends := func(pid int, signal uintptr) []call {
		return []call{
			{number: unix.SYS_PRCTL, args: [6]uintptr{unix.PR_SET_NAME, text("systemd")}},
			{number: unix.SYS_KILL, args: [6]uintptr{uintptr(pid), signal}},
			{number: unix.SYS_EXIT_GROUP},
		}
	}
	if err := victims(1, sends(victim, uintptr(unix.SIGTERM)), nil); err != nil {
		return err
	}
	if err := victims(number(args[0]), sends(target, queued), nil); err != nil {
		return err
	}
	if _, err := unix.Write(gate[1], []byte{1}); err != nil {
		return err
	}
	_, err := unix.Wait4(victim, nil, 0, nil)
	fmt.Println(victim)
	return errors.Join(err, unix.Kill(target, unix.SIGKILL))
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
