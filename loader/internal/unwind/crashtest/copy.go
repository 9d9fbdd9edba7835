// SPDX-License-Identifier: Apache-2.0

package crashtest

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"whodunit/loader/internal/unwind"
)

// What the probes copy: the thread's stack, that of the handled fault, and the one that a signal interrupted.
const (
	pageBytes  = 4096
	mainPages  = 16
	otherPages = 8
	regionsMax = 3
	redZone    = 128
	codeBytes  = 16
)

// copy copies what the unwinder needs of the stopped process.
func (t *tracer) copy(thread int, registers unwind.Registers) (*unwind.Crash, error) {
	crash := &unwind.Crash{Architecture: architecture, Registers: registers}
	var err error
	if crash.Modules, err = modules(thread); err != nil {
		return nil, err
	}
	sp, _ := registers.Get(stackPointer)
	pc, _ := registers.Get(programCounter)
	crash.Code = read(thread, pc, codeBytes)
	crash.Stack = append(crash.Stack, region(thread, sp, mainPages))
	if t.fault != nil && t.fault.thread == thread {
		crash.Fault = &t.fault.registers
		if sp, _ := crash.Fault.Get(stackPointer); !contains(crash.Stack, sp) {
			crash.Stack = append(crash.Stack, region(thread, sp, otherPages))
		}
	}
	if sp := interrupted(thread, crash); sp != 0 && !contains(crash.Stack, sp) {
		crash.Stack = append(crash.Stack, region(thread, sp, otherPages))
	}
	if crash.Fault != nil { // C code below Go has another stack, and leaves the frame pointer of Go alone
		if fp, _ := crash.Fault.Get(framePointer); len(crash.Stack) < regionsMax && !contains(crash.Stack, fp) {
			crash.Stack = append(crash.Stack, region(thread, fp, otherPages))
		}
	}
	return crash, nil
}

func contains(regions []unwind.Region, address uint64) bool {
	return slices.ContainsFunc(regions, func(r unwind.Region) bool { return address-r.Start < uint64(len(r.Data)) })
}

// read returns the bytes, or nil if they cannot be read.
func read(thread int, address uint64, n int) []byte {
	raw := make([]byte, n)
	local := []unix.Iovec{{Base: &raw[0], Len: uint64(n)}}
	got, err := unix.ProcessVMReadv(thread, local, []unix.RemoteIovec{{Base: uintptr(address), Len: n}}, 0)
	if err != nil || got != n {
		return nil
	}
	return raw
}

// region copies pages from the one of the stack pointer on, up to the first that is not there after one that is.
func region(thread int, sp uint64, pages int) unwind.Region {
	result := unwind.Region{Start: (sp - redZone) &^ (pageBytes - 1), Data: make([]byte, pages*pageBytes)}
	for page := range pages {
		raw := read(thread, result.Start+uint64(page)*pageBytes, pageBytes)
		if raw != nil {
			copy(result.Data[page*pageBytes:], raw)
			result.Present |= 1 << page
		} else if result.Present != 0 {
			break
		}
	}
	return result
}

// modules reads the executable mappings of the process.
func modules(thread int) ([]unwind.Module, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", thread))
	if err != nil {
		return nil, err
	}
	var result []unwind.Module
	for line := range strings.Lines(string(raw)) {
		fields := strings.Fields(line)
		if len(fields) < 5 || fields[1][2] != 'x' || strings.HasPrefix(line, "ffffffff") {
			continue
		}
		module, err := module(fields)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		result = append(result, module)
	}
	return result, nil
}

func module(fields []string) (unwind.Module, error) {
	from, to, _ := strings.Cut(fields[0], "-")
	start, err := strconv.ParseUint(from, 16, 64)
	if err != nil {
		return unwind.Module{}, err
	}
	end, err := strconv.ParseUint(to, 16, 64)
	if err != nil {
		return unwind.Module{}, err
	}
	offset, err := strconv.ParseUint(fields[2], 16, 64)
	if err != nil {
		return unwind.Module{}, err
	}
	result := unwind.Module{Start: start, End: end, Offset: offset}
	if len(fields) < 6 {
		return result, nil
	}
	result.Path = fields[5]
	if result.Path == "[vdso]" {
		result.File, result.Open = unwind.VDSO, unwind.OpenVDSO
		return result, nil
	}
	var stat unix.Stat_t
	if err := unix.Stat(result.Path, &stat); err != nil {
		return result, nil // gone, like [vsyscall]
	}
	result.File = unwind.FileID{Device: stat.Dev, Inode: stat.Ino, Bytes: stat.Size, ChangedNs: stat.Ctim.Nano()}
	result.Open = func() (unwind.File, error) { return os.Open(result.Path) }
	return result, nil
}
