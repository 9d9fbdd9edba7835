// Reads /proc of a running process or a zombie.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	ancestorsMax = 6 // the limit in docs/wire.md
	realUser     = 0 // indexes in the line `Uid:`
	effective    = 1
	ticksPerSec  = 100
	tickNs       = 1_000_000_000 / ticksPerSec
)

// stat has the fields of /proc/PID/stat that are used.
type stat struct {
	comm       string
	state      string
	parent     int
	threads    int
	startTicks int64
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	// The name is in parentheses and may contain any character, so the fields are counted from the last parenthesis.
	open, shut := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || shut < 0 {
		return stat{}, fmt.Errorf("/proc/%d/stat: no name in it", pid)
	}
	fields := strings.Fields(string(text[shut+1:]))
	const stateField, parentField, threadsField, startField = 0, 4 - 3, 20 - 3, 22 - 3 // proc(5) counts from the pid
	if len(fields) <= startField {
		return stat{}, fmt.Errorf("/proc/%d/stat: %d fields", pid, len(fields))
	}
	parent, err := strconv.Atoi(fields[parentField])
	if err != nil {
		return stat{}, err
	}
	threads, err := strconv.Atoi(fields[threadsField])
	if err != nil {
		return stat{}, err
	}
	start, err := strconv.ParseInt(fields[startField], 10, 64)
	if err != nil {
		return stat{}, err
	}
	return stat{comm: string(text[open+1 : shut]), state: fields[stateField], parent: parent, threads: threads, startTicks: start}, nil
}

// isZombie also checks the number of threads: the state is that of the first thread, which others may outlive.
func isZombie(pid int) (bool, error) {
	s, err := readStat(pid)
	return s.state == "Z" && s.threads == 1, err
}

// readStatusNumbers reads one line of numbers of /proc/PID/status, such as `Uid:` or `NSpid:`.
func readStatusNumbers(pid int, key string) ([]int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		rest, found := strings.CutPrefix(line, key+":")
		if !found {
			continue
		}
		var numbers []int
		for _, field := range strings.Fields(rest) {
			number, err := strconv.Atoi(field)
			if err != nil {
				return nil, err
			}
			numbers = append(numbers, number)
		}
		return numbers, nil
	}
	return nil, fmt.Errorf("/proc/%d/status: no %s", pid, key)
}

func readArgs(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00"), nil
}

// readCgroups returns the cgroups of a running process. On cgroup v1 a zombie is shown in the root.
func readCgroups(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return nil, err
	}
	var paths []string
	for line := range strings.Lines(string(text)) {
		if parts := strings.SplitN(strings.TrimSpace(line), ":", 3); len(parts) == 3 {
			paths = append(paths, parts[2])
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths), nil
}

func readActor(pid int) (*actor, error) {
	self, err := readStat(pid)
	if err != nil {
		return nil, err
	}
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return nil, err
	}
	args, err := readArgs(pid)
	if err != nil {
		return nil, err
	}
	uids, err := readStatusNumbers(pid, "Uid")
	if err != nil {
		return nil, err
	}
	a := &actor{PID: pid, Comm: self.comm, Exe: exe, Args: args, UID: uids[effective], RealUID: uids[realUser], Ancestors: []ancestor{}}
	for parent := self.parent; parent != 0 && len(a.Ancestors) < ancestorsMax; {
		next, err := readStat(parent)
		if err != nil {
			return nil, err
		}
		above := ancestor{PID: parent, Comm: next.comm}
		above.Exe, _ = os.Readlink(fmt.Sprintf("/proc/%d/exe", parent))
		above.Args, _ = readArgs(parent)
		a.Ancestors = append(a.Ancestors, above)
		parent = next.parent
	}
	return a, nil
}

func clockNs(id int32) int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(id, &now); err != nil {
		panic(err) // fails only for an unknown clock
	}
	return now.Nano()
}

func wallNs() int64 { return clockNs(unix.CLOCK_REALTIME) }

// offsetReadings is the number of clock readings for one offset.
const offsetReadings = 8

// wallOffsetNs is the wall time minus the time since boot. The clocks are read one after the other, and the reader may be interrupted in
// between, so the fastest reading counts.
func wallOffsetNs() int64 {
	var offset int64
	least := int64(math.MaxInt64)
	for range offsetReadings {
		before, boot, after := wallNs(), clockNs(unix.CLOCK_BOOTTIME), wallNs()
		if took := after - before; took < least {
			least, offset = took, before+took/2-boot
		}
	}
	return offset
}

// startWallNs converts a start time in ticks since boot to wall time.
func startWallNs(ticks int64) int64 { return ticks*tickNs + wallOffsetNs() }
