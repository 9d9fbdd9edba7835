// The kernel's own words about an out-of-memory kill: the line that __oom_kill_process (mm/oom_kill.c) prints.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"

	"golang.org/x/sys/unix"
)

// oomSizes is what the kernel printed, in bytes.
type oomSizes struct {
	TotalVM  int64 `json:"total_vm"`
	AnonRSS  int64 `json:"anon_rss"`
	FileRSS  int64 `json:"file_rss"`
	ShmemRSS int64 `json:"shmem_rss"`
	ScoreAdj int   `json:"score_adj"`
}

const (
	kernelLogPath    = "/dev/kmsg"
	kernelLogLineMax = 8192
)

var oomLine = regexp.MustCompile(`Killed process (\d+) .*total-vm:(\d+)kB, anon-rss:(\d+)kB, file-rss:(\d+)kB, shmem-rss:(\d+)kB, .*oom_score_adj:(-?\d+)`)

// openKernelLog opens it at its end: what was printed before does not matter.
func openKernelLog() (*os.File, error) {
	descriptor, err := unix.Open(kernelLogPath, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kernelLogPath, err)
	}
	if _, err := unix.Seek(descriptor, 0, unix.SEEK_END); err != nil {
		return nil, fmt.Errorf("%s: %w", kernelLogPath, err)
	}
	return os.NewFile(uintptr(descriptor), kernelLogPath), nil
}

// findOomLine reads on until the line about the process. Each read(2) gives one line; EPIPE: some were overwritten.
func findOomLine(log *os.File, pid int) (*oomSizes, error) {
	line := make([]byte, kernelLogLineMax)
	for {
		length, err := unix.Read(int(log.Fd()), line)
		if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: no line about the death of process %d: %w", kernelLogPath, pid, err)
		}
		found := oomLine.FindSubmatch(line[:length])
		if found == nil || string(found[1]) != strconv.Itoa(pid) {
			continue
		}
		kilobytes := func(i int) int64 {
			number, _ := strconv.ParseInt(string(found[i]), 10, 64) // digits, by the expression
			return number * 1024
		}
		adj, _ := strconv.Atoi(string(found[6]))
		return &oomSizes{TotalVM: kilobytes(2), AnonRSS: kilobytes(3), FileRSS: kilobytes(4), ShmemRSS: kilobytes(5), ScoreAdj: adj}, nil
	}
}
