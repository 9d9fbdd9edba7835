// Command probe-cost measures what the BPF programs of other processes cost: how often each ran, how long, and how much kernel memory
// their maps take. For each line of numbers of processes on its input it prints one line of JSON (snapshot).
//
// While it runs, the kernel times every BPF program (BPF_ENABLE_STATS; over when its descriptor is closed, however this process
// ends). With --floor it attaches programs of its own that do nothing, to the same hooks as whodunit: what they cost is what a raw
// tracepoint costs at least. With --floor-only it does no more than that, and nothing is timed.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

var floorHooks = []string{"sched_process_exit", "signal_generate", "signal_deliver"}

type program struct {
	ID        ebpf.ProgramID `json:"id"`
	Name      string         `json:"name"` // the kernel keeps 15 characters
	Type      string         `json:"type"`
	Runs      uint64         `json:"runs"`
	RunTimeNs uint64         `json:"run_time_ns"`
}

type bpfMap struct {
	ID          ebpf.MapID `json:"id"`
	Name        string     `json:"name"`
	MemoryBytes uint64     `json:"memory_bytes"` // as the kernel accounts it
}

type snapshot struct {
	Programs []program `json:"programs"`
	Maps     []bpfMap  `json:"maps"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "probe-cost: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	floorOnly := slices.Contains(args, "--floor-only")
	if !floorOnly {
		stats, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
		if err != nil {
			return fmt.Errorf("let the kernel time its BPF programs (needs root): %w", err)
		}
		defer stats.Close()
	}
	if floorOnly || slices.Contains(args, "--floor") {
		for _, hook := range floorHooks {
			attached, err := attachFloor(hook)
			if err != nil {
				return fmt.Errorf("attach an empty program to %s: %w", hook, err)
			}
			defer attached.Close()
		}
	}
	out := json.NewEncoder(os.Stdout)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		taken, err := take(strings.Fields(lines.Text()))
		if err != nil {
			return err
		}
		if err := out.Encode(taken); err != nil {
			return err
		}
	}
	return nil
}

// attachFloor attaches a program that is named after its hook, until the link is closed.
func attachFloor(hook string) (link.Link, error) {
	nothing, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name:         "floor_" + hook,
		Type:         ebpf.RawTracepoint,
		License:      "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		return nil, err
	}
	return link.AttachRawTracepoint(link.RawTracepointOptions{Name: hook, Program: nothing})
}

// take reads the programs that the processes hold open, and all the maps that these use.
func take(pids []string) (snapshot, error) {
	taken := snapshot{Programs: []program{}, Maps: []bpfMap{}}
	mapIDs := map[ebpf.MapID]bool{}
	for _, pid := range pids {
		ids, err := programsOf(pid)
		if err != nil {
			return taken, err
		}
		for id := range ids {
			one, uses, err := look(id)
			if err != nil {
				return taken, fmt.Errorf("program %d of process %s: %w", id, pid, err)
			}
			taken.Programs = append(taken.Programs, one)
			for _, id := range uses {
				mapIDs[id] = true
			}
		}
	}
	for id := range mapIDs {
		one, err := weigh(id)
		if err != nil {
			return taken, fmt.Errorf("map %d: %w", id, err)
		}
		taken.Maps = append(taken.Maps, one)
	}
	return taken, nil
}

var programLine = regexp.MustCompile(`(?m)^prog_id:\s*(\d+)$`)

// programsOf reads the numbers from /proc/PID/fdinfo, where programs and links show them.
func programsOf(pid string) (map[ebpf.ProgramID]bool, error) {
	descriptors, err := filepath.Glob(filepath.Join("/proc", pid, "fdinfo", "*"))
	if err != nil {
		return nil, err
	}
	ids := map[ebpf.ProgramID]bool{}
	for _, path := range descriptors {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) { // closed meanwhile
			continue
		}
		if err != nil {
			return nil, err
		}
		if found := programLine.FindSubmatch(text); found != nil {
			id, err := strconv.ParseUint(string(found[1]), 10, 32)
			if err != nil {
				return nil, err
			}
			ids[ebpf.ProgramID(id)] = true
		}
	}
	return ids, nil
}

func look(id ebpf.ProgramID) (program, []ebpf.MapID, error) {
	opened, err := ebpf.NewProgramFromID(id)
	if err != nil {
		return program{}, nil, err
	}
	defer opened.Close()
	info, err := opened.Info()
	if err != nil {
		return program{}, nil, err
	}
	stats, err := opened.Stats()
	if err != nil {
		return program{}, nil, err
	}
	uses, _ := info.MapIDs()
	one := program{ID: id, Name: info.Name, Type: info.Type.String(), Runs: stats.RunCount, RunTimeNs: uint64(stats.Runtime)}
	return one, uses, nil
}

func weigh(id ebpf.MapID) (bpfMap, error) {
	opened, err := ebpf.NewMapFromID(id)
	if err != nil {
		return bpfMap{}, err
	}
	defer opened.Close()
	info, err := opened.Info()
	if err != nil {
		return bpfMap{}, err
	}
	bytes, _ := info.Memlock()
	return bpfMap{ID: id, Name: info.Name, MemoryBytes: bytes}, nil
}
