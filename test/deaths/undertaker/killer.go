// The killer: a separate process that does on order what its line of input says, so that sender and parent differ.
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

// killerHandle is the undertaker's side: it gives orders and knows who the killer is.
type killerHandle struct {
	actor
	orders io.WriteCloser
	out    *bufio.Reader
}

// hire starts a killer. uid 0: as the undertaker itself.
func (u *undertaker) hire(uid int) (*killerHandle, error) {
	return u.hireAs(exec.Command(u.self, roleKiller, strconv.Itoa(uid)))
}

// hireAs starts a killer with this command.
func (u *undertaker) hireAs(cmd *exec.Cmd) (*killerHandle, error) {
	k, pid, err := u.startKiller(cmd)
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

// startKiller gives its pid too, as it sees it itself.
func (u *undertaker) startKiller(cmd *exec.Cmd) (*killerHandle, int, error) {
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
		return nil, 0, fmt.Errorf("the killer does not say who it is: %w", err)
	}
	return k, pid, nil
}

// order gives one order and waits until it is done.
func (k *killerHandle) order(words ...any) error {
	if _, err := fmt.Fprintln(k.orders, words...); err != nil {
		return err
	}
	return k.answer()
}

// dismiss ends the killer and waits until it is gone.
func (k *killerHandle) dismiss() error {
	if err := k.orders.Close(); err != nil {
		return err
	}
	return awaitZombie(k.PID)
}

func (k *killerHandle) answer() error {
	line, err := k.out.ReadString('\n')
	if err != nil {
		return fmt.Errorf("the killer does not answer: %w", err)
	}
	if line = strings.TrimSpace(line); line != "done" {
		return fmt.Errorf("the killer says: %s", line)
	}
	return nil
}

// killer is the process itself. It ends when its input does.
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
		if err := obey(strings.Fields(lines.Text())); err != nil {
			fmt.Printf("%q: %v\n", lines.Text(), err)
			continue
		}
		fmt.Println("done")
	}
	return lines.Err()
}

// obey carries out one order: `kill PID SIGNAL`, `thread PID TID SIGNAL`, `pidfd PID SIGNAL`, `queue PID SIGNAL`,
// `queue-thread PID TID SIGNAL`, `write TEXT PATH`, `mail NAME`, and those of tracer.go.
func obey(words []string) error {
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
	case "kill": // a negative pid is a process group, or everyone
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

// mail writes an empty message to the POSIX message queue, which is gone then.
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

// queue is sigqueue(3), or pthread_sigqueue(3): the sender fills in the siginfo itself, which is the last argument.
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
