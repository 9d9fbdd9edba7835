// Makes another process execute system calls, as an attacker who has taken over that process would. It needs root.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func init() { attacks["inject"] = inject }

const (
	// redZone is what a function may use below its stack, in the ABI of x86-64.
	redZone = 128
	// Strings are written below that. Their bytes are restored: Go's stacks lie next to each other.
	pathBytesMax = 128
	roomBytes    = 6 * pathBytesMax
)

// The instructions that call the kernel: of 64-bit and of 32-bit programs.
var calls = map[string][2]byte{"64": {0x0f, 0x05}, "32": {0xcd, 0x80}}

// inject PID: reads lines `64|32 NUMBER ARGUMENT...` and prints what the call returned, until its input ends. An argument is a number or,
// after `=`, a string, whose address is passed.
func inject(args []string) error {
	pid, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	runtime.LockOSThread() // ptrace(2) serves only the thread that attached.
	if err := unix.PtraceAttach(pid); err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	defer unix.PtraceDetach(pid)
	if err := waitFor(pid, unix.SIGSTOP); err != nil {
		return err
	}
	fmt.Println("attached")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		result, err := callIn(pid, strings.Fields(lines.Text()))
		if err != nil {
			return fmt.Errorf("%s: %w", lines.Text(), err)
		}
		fmt.Println(result)
	}
	return nil
}

// waitFor waits until the process has stopped with this signal. Other signals are not delivered.
func waitFor(pid int, signal unix.Signal) error {
	for {
		var status unix.WaitStatus
		if _, err := unix.Wait4(pid, &status, unix.WALL, nil); err != nil {
			return err
		}
		if !status.Stopped() {
			return fmt.Errorf("it ended: %#x", status)
		}
		if status.StopSignal() == signal {
			return nil
		}
		if status.StopSignal() != unix.SIGURG { // Go's preemption
			return fmt.Errorf("it stopped with %v", status.StopSignal())
		}
		if err := unix.PtraceSingleStep(pid); err != nil {
			return err
		}
	}
}

// callIn replaces the next instruction by a system call, executes it, and restores instruction, memory and registers.
func callIn(pid int, words []string) (string, error) {
	var before unix.PtraceRegs
	if err := unix.PtraceGetRegs(pid, &before); err != nil {
		return "", err
	}
	instruction, known := calls[words[0]]
	if !known || len(words) < 2 {
		return "", fmt.Errorf("want `64|32 NUMBER ARGUMENT...`")
	}
	at, room := uintptr(before.Rip), uintptr(before.Rsp-redZone-roomBytes)&^7
	restoreCode, err := replace(pid, at, instruction[:])
	if err != nil {
		return "", err
	}
	values, texts, err := arguments(words[1:], room)
	if err != nil {
		return "", err
	}
	restoreRoom, err := replace(pid, room, texts)
	if err != nil {
		return "", err
	}
	during := withArguments(before, words[0], values)
	if err := unix.PtraceSetRegs(pid, &during); err != nil {
		return "", err
	}
	if err := unix.PtraceSingleStep(pid); err != nil {
		return "", err
	}
	if err := waitFor(pid, unix.SIGTRAP); err != nil {
		return "", err
	}
	if err := unix.PtraceGetRegs(pid, &during); err != nil {
		return "", err
	}
	return resultOf(int64(during.Rax)), errors.Join(restoreRoom(), restoreCode(), unix.PtraceSetRegs(pid, &before))
}

// replace writes the bytes to the memory of the process. restore writes back what was there.
func replace(pid int, at uintptr, with []byte) (restore func() error, _ error) {
	before := make([]byte, len(with))
	if _, err := unix.PtracePeekData(pid, at, before); err != nil {
		return nil, err
	}
	if _, err := unix.PtracePokeData(pid, at, with); err != nil {
		return nil, err
	}
	return func() error { _, err := unix.PtracePokeData(pid, at, before); return err }, nil
}

// arguments returns the values of the words. Strings become addresses in the room, where the caller writes texts.
func arguments(words []string, room uintptr) (values [1 + 6]uint64, texts []byte, _ error) {
	texts = make([]byte, roomBytes)
	used := 0
	for i, word := range words {
		if text, isText := strings.CutPrefix(word, "="); isText {
			if len(text) >= pathBytesMax {
				return values, nil, fmt.Errorf("%q is too long", text)
			}
			values[i] = uint64(room) + uint64(used)
			copy(texts[used:], text)
			used += pathBytesMax
			continue
		}
		number, err := strconv.ParseInt(word, 0, 64)
		if err != nil {
			return values, nil, err
		}
		values[i] = uint64(number)
	}
	return values, texts, nil
}

// withArguments sets number and arguments in the registers of the convention. Orig_rax: no system call is restarted.
func withArguments(regs unix.PtraceRegs, convention string, values [1 + 6]uint64) unix.PtraceRegs {
	regs.Orig_rax, regs.Rax = ^uint64(0), values[0]
	registers := []*uint64{&regs.Rdi, &regs.Rsi, &regs.Rdx, &regs.R10, &regs.R8, &regs.R9}
	if convention == "32" {
		registers = []*uint64{&regs.Rbx, &regs.Rcx, &regs.Rdx, &regs.Rsi, &regs.Rdi, &regs.Rbp}
	}
	for i, value := range values[1:] {
		*registers[i] = value
	}
	return regs
}

// resultOf returns the name of the error, or the value in decimal.
func resultOf(value int64) string {
	if name := unix.ErrnoName(unix.Errno(-value)); value < 0 && name != "" {
		return name
	}
	return strconv.FormatInt(value, 10)
}
