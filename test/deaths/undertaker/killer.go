// The killer: a separate process that carries out orders from its standard input, so that the sender is not the parent.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const roleKiller = "killer"

// killerHandle is the undertaker's side: the pipe for orders, and the identity of the killer.
type killerHandle struct {
	actor
	orders io.WriteCloser
	out    *bufio.Reader
}

// startKiller starts a killer as this user; 0: as the user of the undertaker.
func (u *undertaker) startKiller(uid int) (*killerHandle, error) {
	return u.startKillerWith(exec.Command(u.self, roleKiller, strconv.Itoa(uid)))
}

// startKillerWith starts a killer with this command.
func (u *undertaker) startKillerWith(cmd *exec.Cmd) (*killerHandle, error) {
	k, pid, err := u.launchKiller(cmd)
	if err != nil {
		return nil, err
	}
	who, err := readActor(pid)
	if err != nil {
		return nil, err
	}
	k.actor = *who
	return k, nil
}

// launchKiller also returns the pid of the killer in its own pid namespace.
func (u *undertaker) launchKiller(cmd *exec.Cmd) (*killerHandle, int, error) {
	cmd.Stderr = os.Stderr
	orders, err := cmd.StdinPipe()
	if err != nil {
		return nil, 0, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, 0, err
	}
	if err := cmd.Start(); err != nil {
		return nil, 0, err
	}
	u.atClose = append(u.atClose, func() { _ = orders.Close(); _ = cmd.Wait() })
	k := &killerHandle{orders: orders, out: bufio.NewReader(out)}
	var pid int
	if _, err := fmt.Fscanln(k.out, &pid); err != nil {
		return nil, 0, fmt.Errorf("the killer printed no pid: %w", err)
	}
	return k, pid, nil
}

// order sends one order and waits until it is carried out.
func (k *killerHandle) order(words ...any) error {
	if _, err := fmt.Fprintln(k.orders, words...); err != nil {
		return err
	}
	return k.answer()
}

// stop closes the input of the killer and waits until it has exited.
func (k *killerHandle) stop() error {
	if err := k.orders.Close(); err != nil {
		return err
	}
	return awaitZombie(k.PID)
}

func (k *killerHandle) answer() error {
	line, err := k.out.ReadString('\n')
	if err != nil {
		return fmt.Errorf("no answer from the killer: %w", err)
	}
	if line = strings.TrimSpace(line); line != "done" {
		return fmt.Errorf("error from the killer: %s", line)
	}
	return nil
}

// killer is the main function of the killer. It returns at the end of its input.
func killer(args []string) error {
	if len(args) == 1 && args[0] != "0" {
		uid, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		if err := syscall.Setuid(uid); err != nil {
			return err
		}
	}
	fmt.Println(os.Getpid())
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if err := carryOut(strings.Fields(lines.Text())); err != nil {
			fmt.Printf("%q: %v\n", lines.Text(), err)
			continue
		}
		fmt.Println("done")
	}
	return lines.Err()
}

// carryOut carries out one order: `kill PID SIGNAL`, `thread PID TID SIGNAL`, `pidfd PID SIGNAL`, `queue PID SIGNAL`,
// `queue-thread PID TID SIGNAL`, `write TEXT PATH`, `mail NAME`, and those of tracer.go.
func carryOut(words []string) error {
	switch words[0] {
	case "write":
		return os.WriteFile(words[2], []byte(words[1]), 0)
	case "mail":
		return mail(words[1])
	}
	numbers := make([]int, len(words))
	for i, word := range words[1:] {
		number, err := strconv.Atoi(word)
		if err != nil {
			return err
		}
		numbers[i] = number
	}
	switch words[0] {
	case "kill": // a negative pid is a process group; -1: every process
		return unix.Kill(numbers[0], syscall.Signal(numbers[1]))
	case "thread":
		return unix.Tgkill(numbers[0], numbers[1], syscall.Signal(numbers[2]))
	case "pidfd":
		descriptor, err := unix.PidfdOpen(numbers[0], 0)
		if err != nil {
			return err
		}
		defer unix.Close(descriptor)
		return unix.PidfdSendSignal(descriptor, syscall.Signal(numbers[1]), nil, 0)
	case "queue":
		return queue(numbers[1], unix.SYS_RT_SIGQUEUEINFO, uintptr(numbers[0]), uintptr(numbers[1]))
	case "queue-thread":
		return queue(numbers[2], unix.SYS_RT_TGSIGQUEUEINFO, uintptr(numbers[0]), uintptr(numbers[1]), uintptr(numbers[2]))
	}
	return trace(words[0], numbers[0], numbers[1])
}

// mail sends an empty message to the POSIX message queue, and removes the queue.
func mail(name string) error {
	text, err := unix.BytePtrFromString(name)
	if err != nil {
		return err
	}
	queue, _, errno := unix.Syscall(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(text)), unix.O_WRONLY, 0)
	if errno != 0 {
		return errno
	}
	defer unix.Close(int(queue))
	if _, _, errno := unix.Syscall6(unix.SYS_MQ_TIMEDSEND, queue, uintptr(unsafe.Pointer(text)), 0, 0, 0, 0); errno != 0 {
		return errno
	}
	if _, _, errno := unix.Syscall(unix.SYS_MQ_UNLINK, uintptr(unsafe.Pointer(text)), 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// queue is sigqueue(3) or pthread_sigqueue(3): the sender fills in the siginfo.
func queue(signal int, number uintptr, args ...uintptr) error {
	info := struct {
		signo, errno, code, _ int32
		pid, uid              int32
		_                     [104]byte
	}{signo: int32(signal), code: -1 /* SI_QUEUE */, pid: int32(os.Getpid()), uid: int32(os.Getuid())}
	args = append(args, uintptr(unsafe.Pointer(&info)), 0)
	_, _, errno := unix.Syscall6(number, args[0], args[1], args[2], args[3], 0, 0)
	runtime.KeepAlive(&info)
	if errno != 0 {
		return errno
	}
	return nil
}
