// Makes another process execute system calls, as an attacker who has taken over that process would. It needs root.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func init() { attacks["inject"] = inject }

// pathBytesMax limits a string argument, which is written below the stack.
const pathBytesMax = 512

// belowStack is out of reach for the stack of a system call's caller: more than the red zone of the x86-64 ABI.
const belowStack = 16 << 10

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

// callIn replaces the next instruction by a system call, executes it, and restores instruction and registers.
func callIn(pid int, words []string) (string, error) {
	var before unix.PtraceRegs
	if err := unix.PtraceGetRegs(pid, &before); err != nil {
		return "", err
	}
	instruction, known := calls[words[0]]
	if !known || len(words) < 2 {
		return "", fmt.Errorf("want `64|32 NUMBER ARGUMENT...`")
	}
	at := uintptr(before.Rip)
	code := make([]byte, len(instruction))
	if _, err := unix.PtracePeekText(pid, at, code); err != nil {
		return "", err
	}
	if _, err := unix.PtracePokeText(pid, at, instruction[:]); err != nil {
		return "", err
	}
	values, err := arguments(pid, words[1:], before.Rsp-belowStack)
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
	if _, err := unix.PtracePokeText(pid, at, code); err != nil {
		return "", err
	}
	return resultOf(int64(during.Rax)), unix.PtraceSetRegs(pid, &before)
}

// arguments returns the values of the words, and writes the strings to the memory of the process.
func arguments(pid int, words []string, room uint64) ([6 + 1]uint64, error) {
	var values [6 + 1]uint64
	for i, word := range words {
		if text, isText := strings.CutPrefix(word, "="); isText {
			at := room + uint64(i*pathBytesMax)
			padded := binary.LittleEndian.AppendUint64([]byte(text), 0)
			if _, err := unix.PtracePokeData(pid, uintptr(at), padded); err != nil {
				return values, err
			}
			values[i] = at
			continue
		}
		number, err := strconv.ParseInt(word, 0, 64)
		if err != nil {
			return values, err
		}
		values[i] = uint64(number)
	}
	return values, nil
}

// withArguments sets number and arguments in the registers of the convention. Orig_rax: no system call is restarted.
func withArguments(regs unix.PtraceRegs, convention string, values [6 + 1]uint64) unix.PtraceRegs {
	regs.Orig_rax, regs.Rax = ^uint64(0), values[0]
	registers := []*uint64{&regs.Rdi, &regs.Rsi, &regs.Rdx, &regs.R10, &regs.R8, &regs.R9}
	if convention == "32" {
		registers = []*uint64{&regs.Rbx, &regs.Rcx, &regs.Rdx, &regs.Rsi, &regs.Rdi, &regs.Rbp}
	}
	for i, value := range slices.All(values[1:]) {
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
