// CPU exceptions: SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, and how Go handles one.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	unmappedAddress     = uintptr(0xbeef)
	nonCanonicalAddress = uintptr(0x8000_0000_0000_0000)
)

// at turns a number into a pointer by reading it from memory as one, which `go vet` accepts.
func at(address uintptr) *byte {
	return *(**byte)(unsafe.Pointer(&address))
}

func segfault([]string) error {
	if err := defaultActions(); err != nil {
		return err
	}
	*at(unmappedAddress) = 1
	return nil
}

func segfaultInThread([]string) error {
	if err := defaultActions(); err != nil {
		return err
	}
	go func() {
		runtime.LockOSThread()
		name := append([]byte("second-thread"), 0)
		_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name[0])), 0, 0, 0)
		*at(unmappedAddress) = 1
	}()
	return sleepLong()
}

func generalProtection([]string) error {
	if err := defaultActions(); err != nil {
		return err
	}
	keep(*at(nonCanonicalAddress))
	return nil
}

func busError([]string) error {
	if err := defaultActions(); err != nil {
		return err
	}
	empty, err := os.CreateTemp("", "mortal-*")
	if err != nil {
		return err
	}
	_ = os.Remove(empty.Name())
	mapping, err := unix.Mmap(int(empty.Fd()), 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	keep(mapping[0])
	return nil
}

// execute runs one machine instruction in its own page.
func execute(instruction map[string][]byte) func([]string) error {
	return func([]string) error {
		code, ok := instruction[runtime.GOARCH]
		if !ok {
			return fmt.Errorf("%s has no such instruction", runtime.GOARCH)
		}
		if err := defaultActions(); err != nil {
			return err
		}
		page, err := newPage()
		if err != nil {
			return err
		}
		copy(page, code)
		if err := unix.Mprotect(page, unix.PROT_READ|unix.PROT_EXEC); err != nil {
			return err
		}
		call(&page[0])
		return nil
	}
}

var (
	// undefined is permanently undefined on each architecture: ud2, and udf #0.
	undefined = map[string][]byte{"amd64": {0x0f, 0x0b}, "arm64": {0, 0, 0, 0}}
	// breakpoint is int3, and brk #0.
	breakpoint = map[string][]byte{"amd64": {0xcc}, "arm64": {0, 0, 0x20, 0xd4}}
	// divisionByZero is xor eax, eax; xor edx, edx; div eax. On arm64 the quotient is 0.
	divisionByZero = map[string][]byte{"amd64": {0x31, 0xc0, 0x31, 0xd2, 0xf7, 0xf0}}
	// privileged is hlt. On arm64, privileged instructions are undefined in user mode.
	privileged = map[string][]byte{"amd64": {0xf4}}
)

func newPage() ([]byte, error) {
	return unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
}

// call calls the code at that address. A Go function value is a pointer to a pointer to code.
func call(entry *byte) {
	value := unsafe.Pointer(&entry)
	(*(*func())(unsafe.Pointer(&value)))()
}

func jumpToNull([]string) error {
	if err := defaultActions(); err != nil {
		return err
	}
	call(nil)
	return nil
}

func executeData([]string) error {
	if err := defaultActions(); err != nil {
		return err
	}
	page, err := newPage()
	if err != nil {
		return err
	}
	call(&page[0])
	return nil
}

func writeReadOnly([]string) error {
	if err := defaultActions(); err != nil {
		return err
	}
	page, err := newPage()
	if err != nil {
		return err
	}
	if err := unix.Mprotect(page, unix.PROT_READ); err != nil {
		return err
	}
	page[0] = 1
	return nil
}

// stackOverflow touches page after page below the process's own stack, which grows until its limit.
func stackOverflow([]string) error {
	if err := defaultActions(); err != nil {
		return err
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return err
	}
	var start uintptr
	for line := range strings.Lines(string(maps)) {
		if strings.Contains(line, "[stack]") {
			if _, err := fmt.Sscanf(line, "%x-", &start); err != nil {
				return err
			}
		}
	}
	if start == 0 {
		return errors.New("/proc/self/maps shows no stack")
	}
	for page := uintptr(os.Getpagesize()); ; start -= page {
		*at(start - page) = 1
	}
}

// segfaultWithMemory segfaults with a core of that size.
func segfaultWithMemory(args []string) error {
	if err := defaultActions(); err != nil {
		return err
	}
	if err := touch(args[0]); err != nil {
		return err
	}
	if err := ready(); err != nil {
		return err
	}
	*at(unmappedAddress) = 1
	return nil
}

// panics leaves the fault to Go's handler.
func panics([]string) error {
	keep(*at(unmappedAddress))
	return nil
}

// keep prevents the compiler from removing an unused read.
func keep(read byte) { runtime.KeepAlive(read) }
