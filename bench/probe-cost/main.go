// Command probe-cost measures the cost of the BPF programs of other processes: runs and run time of each, and the kernel memory of their
// maps. For each line of process ids on its input it prints one line of JSON (snapshot).
//
// While it runs, the kernel times every BPF program (BPF_ENABLE_STATS, until the descriptor is closed). With --floor, it also attaches
// empty programs to hooks of whodunit: their cost is the minimum for a raw tracepoint. With --floor-only, it attaches these and times
// nothing.
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

// program is one program since it was loaded.
type program struct {
	ID        ebpf.ProgramID `json:"id"`
	Name      string         `json:"name"` // its first 15 characters
	Hook      string         `json:"hook"` // the raw tracepoint to which it is attached; "" for other programs
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

// attachFloor attaches an empty program to the hook, until the link is closed.
func attachFloor(hook string) (link.Link, error) {
	empty, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name:         "floor_" + hook,
		Type:         ebpf.RawTracepoint,
		License:      "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		return nil, err
	}
	return link.AttachRawTracepoint(link.RawTracepointOptions{Name: hook, Program: empty})
}

// take reads the programs that the processes hold open, and the maps that these programs use.
func take(pids []string) (snapshot, error) {
	taken := snapshot{Programs: []program{}, Maps: []bpfMap{}}
	mapIDs := map[ebpf.MapID]bool{}
	for _, pid := range pids {
		hooks, err := programsOf(pid)
		if err != nil {
			return taken, err
		}
		for id, hook := range hooks {
			one, uses, err := readProgram(id)
			if err != nil {
				return taken, fmt.Errorf("program %d of process %s: %w", id, pid, err)
			}
			one.Hook = hook
			taken.Programs = append(taken.Programs, one)
			for _, id := range uses {
				mapIDs[id] = true
			}
		}
	}
	for id := range mapIDs {
		one, err := readMap(id)
		if err != nil {
			return taken, fmt.Errorf("map %d: %w", id, err)
		}
		taken.Maps = append(taken.Maps, one)
	}
	return taken, nil
}

var (
	programLine = regexp.MustCompile(`(?m)^prog_id:\s*(\d+)$`)
	hookLine    = regexp.MustCompile(`(?m)^tp_name:\s*(\S+)$`)
)

// programsOf reads the ids of the process's programs from /proc/PID/fdinfo, which has them for programs and links, and the hook of each, which
// links to raw tracepoints have.
func programsOf(pid string) (map[ebpf.ProgramID]string, error) {
	descriptors, err := filepath.Glob(filepath.Join("/proc", pid, "fdinfo", "*"))
	if err != nil {
		return nil, err
	}
	hooks := map[ebpf.ProgramID]string{}
	for _, path := range descriptors {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) { // closed in the meantime
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
			if hook := hookLine.FindSubmatch(text); hook != nil {
				hooks[ebpf.ProgramID(id)] = string(hook[1])
			} else if _, known := hooks[ebpf.ProgramID(id)]; !known {
				hooks[ebpf.ProgramID(id)] = ""
			}
		}
	}
	return hooks, nil
}

func readProgram(id ebpf.ProgramID) (program, []ebpf.MapID, error) {
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

func readMap(id ebpf.MapID) (bpfMap, error) {
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
