// Signals by which the kernel notifies the process of what it requested: an expired timer, input, a message.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const alarmMs = 20

// sigevent is the kernel's: on 64 bits it has 64 bytes.
type sigevent struct {
	value  uint64
	signo  int32
	notify int32 // 0: SIGEV_SIGNAL
	_      [48]byte
}

func intervalTimer(which unix.ItimerWhich) error {
	once := unix.Itimerval{Value: unix.NsecToTimeval(alarmMs * 1_000_000)}
	_, err := unix.Setitimer(which, once)
	return err
}

func alarm([]string) error {
	if err := defaultActions(); err != nil {
		return err
	}
	if err := intervalTimer(unix.ITIMER_REAL); err != nil {
		return err
	}
	return sleepLong()
}

// workTimer counts CPU time: in user mode only, or in the kernel as well.
func workTimer(args []string) error {
	which, ok := map[string]unix.ItimerWhich{"virtual": unix.ITIMER_VIRTUAL, "prof": unix.ITIMER_PROF}[args[0]]
	if !ok {
		return fmt.Errorf("no such timer: %q (virtual or prof)", args[0])
	}
	if err := defaultActions(); err != nil {
		return err
	}
	if err := intervalTimer(which); err != nil {
		return err
	}
	work()
	return nil
}

// posixTimer: a timer of timer_create(2) sends the signal, with SI_TIMER in its siginfo, while the process computes. It uses a real-time
// priority if permitted, so that the timer interrupts this process and no other.
func posixTimer(args []string) error {
	sig, err := signalNamed(args[0])
	if err != nil {
		return err
	}
	if err := defaultActions(); err != nil {
		return err
	}
	_ = realTimePriority() // fails for an unprivileged user
	var timer int32
	event := sigevent{signo: int32(sig)}
	_, _, errno := unix.Syscall(unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(&event)), uintptr(unsafe.Pointer(&timer)))
	if errno != 0 {
		return fmt.Errorf("timer_create: %w", errno)
	}
	once := unix.ItimerSpec{Value: unix.NsecToTimespec(alarmMs * 1_000_000)}
	_, _, errno = unix.Syscall6(unix.SYS_TIMER_SETTIME, uintptr(timer), 0, uintptr(unsafe.Pointer(&once)), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("timer_settime: %w", errno)
	}
	work()
	return nil
}

// signalOnInput requests the signal for input on the FIFO. The kernel sends it; the writer is not the sender.
func signalOnInput(args []string) error {
	sig, err := signalNamed(args[0])
	if err != nil {
		return err
	}
	if err := defaultActions(); err != nil {
		return err
	}
	fifo, err := unix.Open(args[1], unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	commands := []struct{ command, value int }{{unix.F_SETOWN, os.Getpid()}, {unix.F_SETFL, unix.O_ASYNC | unix.O_NONBLOCK}}
	if sig != unix.SIGIO { // SIGIO is the default, and is sent without siginfo
		commands = append(commands, struct{ command, value int }{unix.F_SETSIG, int(sig)})
	}
	for _, c := range commands {
		if _, err := unix.FcntlInt(uintptr(fifo), c.command, c.value); err != nil {
			return fmt.Errorf("fcntl(%d, %d): %w", c.command, c.value, err)
		}
	}
	if err := ready(); err != nil {
		return err
	}
	return sleepLong()
}

// signalOnMail requests SIGUSR1 for a message in the POSIX queue, with SI_MESGQ in its siginfo. The writer is not the sender.
func signalOnMail(args []string) error {
	if err := defaultActions(); err != nil {
		return err
	}
	name, err := unix.BytePtrFromString(args[0])
	if err != nil {
		return err
	}
	queue, _, errno := unix.Syscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(name)), unix.O_CREAT|unix.O_RDONLY, 0o600, 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("mq_open: %w", errno)
	}
	event := sigevent{signo: int32(unix.SIGUSR1)}
	if _, _, errno := unix.Syscall(unix.SYS_MQ_NOTIFY, queue, uintptr(unsafe.Pointer(&event)), 0); errno != 0 {
		return fmt.Errorf("mq_notify: %w", errno)
	}
	if err := ready(); err != nil {
		return err
	}
	return sleepLong()
}
