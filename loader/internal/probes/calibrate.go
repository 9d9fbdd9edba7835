// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"whodunit/loader/internal/abi"
)

// calibrationMark is the first word of the page by which the probes find the kernel's map of memory.
const calibrationMark = 0x77686f64756e6974

// errNotCalibrated means that files of crashes which can no longer be opened are not copied.
var errNotCalibrated = errors.New("the kernel's map of memory was not found: it is known of pages of 4 KiB, on x86-64 and arm64")

// calibrate lets the probes find where the kernel maps all memory: they read the page cache of files by it (bpf/crash_calibration.h). The program
// must be that of the collection whose maps are used.
func calibrate(program *ebpf.Program) error {
	if os.Getpagesize() != 4096 {
		return errNotCalibrated
	}
	fd, err := unix.MemfdCreate("whodunit-calibration", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("make a file of one page: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, int64(os.Getpagesize())); err != nil {
		return fmt.Errorf("size a file of one page: %w", err)
	}
	page, err := unix.Mmap(fd, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map a file of one page: %w", err)
	}
	defer unix.Munmap(page)
	binary.NativeEndian.PutUint64(page, calibrationMark)
	found, err := program.Run(&ebpf.RunOptions{
		Context: abi.Calibration{Address: uint64(uintptr(unsafe.Pointer(&page[0]))), Fd: uint64(fd), Mark: calibrationMark},
	})
	if err != nil {
		return fmt.Errorf("run the program that finds the kernel's map of memory: %w", err)
	}
	if found != 0 {
		return errNotCalibrated
	}
	return nil
}
