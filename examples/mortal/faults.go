// Deaths that the processor raises: SIGSEGV, SIGBUS, SIGILL, and Go's way to handle one.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	unmappedAddress     = uintptr(0xbeef)
	nonCanonicalAddress = uintptr(0x8000_0000_0000_0000)
)

// at makes a pointer of a number: it is read as a pointer from memory, which is the way that `go vet` lets pass.
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

func illegalInstruction([]string) error {
	if err := defaultActions(); err != nil {
		return err
	}
	code, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	copy(code, undefined[runtime.GOARCH])
	if err := unix.Mprotect(code, unix.PROT_READ|unix.PROT_EXEC); err != nil {
		return err
	}
	// A Go function value is a pointer to a pointer to code.
	entry := &code[0]
	value := unsafe.Pointer(&entry)
	(*(*func())(unsafe.Pointer(&value)))()
	return nil
}

// undefined is the instruction that each architecture keeps undefined for ever: ud2, and udf #0.
var undefined = map[string][]byte{"amd64": {0x0f, 0x0b}, "arm64": {0, 0, 0, 0}}

// panics leaves the fault to Go's handler.
func panics([]string) error {
	keep(*at(unmappedAddress))
	return nil
}

// keep keeps the compiler from dropping a read that nobody uses.
func keep(read byte) { runtime.KeepAlive(read) }
