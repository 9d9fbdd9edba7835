// Makes another process execute system calls, as an attacker who has taken over that process would. It needs root.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func init() { attacks["inject"] = inject }

const (
	pageBytes = 4096
	// textBytesMax limits a string argument.
	textBytesMax = 512
)

// The instructions that call the kernel: of 64-bit and of 32-bit programs.
var instructions = map[string][2]byte{"64": {0x0f, 0x05}, "32": {0xcd, 0x80}}

// captive is the main thread of a process, stopped. The others run on: nothing that they use is changed.
type captive struct {
	pid   int
	entry uintptr // where the program began: no thread executes this again
	page  uintptr // memory for strings, of our own
}

// inject PID: reads lines `64|32 NUMBER ARGUMENT...` and prints what the call returned, until its input ends. An argument is a number or,
// after `=`, a string, whose address is passed.
func inject(args []string) error {
	pid, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	entry, err := entryOf(pid)
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
	thread := captive{pid: pid, entry: entry}
	page, err := thread.call("64", [1 + 6]uint64{unix.SYS_MMAP, 0, pageBytes, unix.PROT_READ | unix.PROT_WRITE, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS, ^uint64(0)})
	if err != nil || page < 0 {
		return fmt.Errorf("map a page: %s, %v", resultOf(page), err)
	}
	thread.page = uintptr(page)
	fmt.Println("attached")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		convention, rest, _ := strings.Cut(lines.Text(), " ")
		values, err := thread.arguments(strings.Fields(rest))
		if err != nil {
			return fmt.Errorf("%s: %w", lines.Text(), err)
		}
		result, err := thread.call(convention, values)
		if err != nil {
			return fmt.Errorf("%s: %w", lines.Text(), err)
		}
		fmt.Println(resultOf(result))
	}
	_, err = thread.call("64", [1 + 6]uint64{unix.SYS_MUNMAP, uint64(page), pageBytes})
	return err
}

// entryOf returns AT_ENTRY of the process's auxiliary vector.
func entryOf(pid int) (uintptr, error) {
	const atEntry = 9
	vector, err := os.ReadFile(fmt.Sprintf("/proc/%d/auxv", pid))
	if err != nil {
		return 0, err
	}
	for pair := range slices.Chunk(vector, 16) {
		if binary.LittleEndian.Uint64(pair) == atEntry {
			return uintptr(binary.LittleEndian.Uint64(pair[8:])), nil
		}
	}
	return 0, errors.New("no AT_ENTRY: not a 64-bit process")
}

// harmless are signals that the loader ignores, or that Go's runtime sends again: preemption, a client that has disconnected, a child's end.
var harmless = []unix.Signal{unix.SIGURG, unix.SIGPIPE, unix.SIGCHLD}

// waitFor waits until the process has stopped with this signal. Harmless ones are not delivered.
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
		if !slices.Contains(harmless, status.StopSignal()) {
			return fmt.Errorf("it stopped with %v", status.StopSignal())
		}
		if err := unix.PtraceSingleStep(pid); err != nil {
			return err
		}
	}
}

// call executes a system call at the entry point, and restores code and registers. values are its number and its arguments.
func (c captive) call(convention string, values [1 + 6]uint64) (result int64, err error) {
	instruction, known := instructions[convention]
	if !known {
		return 0, fmt.Errorf("the convention is %q, not 64 or 32", convention)
	}
	var before unix.PtraceRegs
	if err := unix.PtraceGetRegs(c.pid, &before); err != nil {
		return 0, err
	}
	code := make([]byte, len(instruction))
	if _, err := unix.PtracePeekText(c.pid, c.entry, code); err != nil {
		return 0, err
	}
	defer func() {
		_, codeErr := unix.PtracePokeText(c.pid, c.entry, code)
		err = errors.Join(err, codeErr, unix.PtraceSetRegs(c.pid, &before))
	}()
	if _, err := unix.PtracePokeText(c.pid, c.entry, instruction[:]); err != nil {
		return 0, err
	}
	during := withArguments(before, convention, values)
	during.Rip = uint64(c.entry)
	if err := unix.PtraceSetRegs(c.pid, &during); err != nil {
		return 0, err
	}
	if err := unix.PtraceSingleStep(c.pid); err != nil {
		return 0, err
	}
	if err := waitFor(c.pid, unix.SIGTRAP); err != nil {
		return 0, err
	}
	err = unix.PtraceGetRegs(c.pid, &during)
	return int64(during.Rax), err
}

// arguments returns the values of the words, and writes the strings to the page.
func (c captive) arguments(words []string) (values [1 + 6]uint64, _ error) {
	if len(words) > len(values) {
		return values, fmt.Errorf("%d words; at most %d", len(words), len(values))
	}
	for i, word := range words {
		if text, isText := strings.CutPrefix(word, "="); isText {
			if len(text) >= textBytesMax {
				return values, fmt.Errorf("%q is too long", text)
			}
			at := c.page + uintptr(i*textBytesMax)
			if _, err := unix.PtracePokeData(c.pid, at, append([]byte(text), 0)); err != nil {
				return values, err
			}
			values[i] = uint64(at)
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
