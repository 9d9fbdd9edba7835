// Reads the kernel log for the line that __oom_kill_process (mm/oom_kill.c) prints.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"golang.org/x/sys/unix"
)

// oomSizes has the values that the kernel printed, in bytes.
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

// oomLine matches what the out-of-memory killer says of a process. Before Linux 5.4, it does not say its oom_score_adj: then it counts as 0.
var oomLine = regexp.MustCompile(`Killed process (\d+) .*total-vm:(\d+)kB, anon-rss:(\d+)kB, file-rss:(\d+)kB, shmem-rss:(\d+)kB(?:, .*oom_score_adj:(-?\d+))?`)

// readOomLine returns the last line about the pid, because pids are reused. Each read(2) returns one line; EPIPE: lines were overwritten.
func readOomLine(pid int) (*oomSizes, error) {
	log, err := unix.Open(kernelLogPath, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kernelLogPath, err)
	}
	defer unix.Close(log)
	var sizes *oomSizes
	line := make([]byte, kernelLogLineMax)
	for {
		length, err := unix.Read(log, line)
		switch {
		case errors.Is(err, unix.EPIPE) || errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN) && sizes != nil:
			return sizes, nil
		case err != nil:
			return nil, fmt.Errorf("%s: no line about process %d: %w", kernelLogPath, pid, err)
		}
		found := oomLine.FindSubmatch(line[:length])
		if found == nil || string(found[1]) != strconv.Itoa(pid) {
			continue
		}
		kilobytes := func(i int) int64 {
			number, _ := strconv.ParseInt(string(found[i]), 10, 64) // the expression matches only digits
			return number * 1024
		}
		adj, _ := strconv.Atoi(string(found[6])) // as above
		sizes = &oomSizes{TotalVM: kilobytes(2), AnonRSS: kilobytes(3), FileRSS: kilobytes(4), ShmemRSS: kilobytes(5), ScoreAdj: adj}
	}
}
