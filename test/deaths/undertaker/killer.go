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
	k, pid, err := u.startKiller(uid)
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

func (u *undertaker) startKiller(uid int) (*killerHandle, int, error) {
	cmd := exec.Command(u.self, roleKiller, strconv.Itoa(uid))
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
	return k, cmd.Process.Pid, k.answer()
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
	fmt.Println("done")
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

// obey carries out one order: `kill PID SIGNAL`, `thread PID TID SIGNAL`, `pidfd PID SIGNAL`, `queue PID SIGNAL`, `trace PID`, `write TEXT PATH`.
func obey(words []string) error {
	if words[0] == "write" {
		return os.WriteFile(words[2], []byte(words[1]), 0)
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
	case "kill": // a negative pid is a process group
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
	case "trace":
		runtime.LockOSThread() // the tracer is this thread
		_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(numbers[0]), 0, unix.PTRACE_O_EXITKILL, 0, 0)
		if errno != 0 {
			return errno
		}
		return nil
	case "queue":
		return queue(numbers[0], numbers[1])
	}
	return fmt.Errorf("unknown order")
}

// queue is sigqueue(3): the sender fills in the siginfo itself.
func queue(pid, signal int) error {
	info := struct {
		signo, errno, code, _ int32
		pid, uid              int32
		_                     [104]byte
	}{signo: int32(signal), code: -1 /* SI_QUEUE */, pid: int32(os.Getpid()), uid: int32(os.Getuid())}
	_, _, errno := unix.Syscall(unix.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(signal), uintptr(unsafe.Pointer(&info)))
	if errno != 0 {
		return errno
	}
	return nil
}
