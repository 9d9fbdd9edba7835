// SPDX-License-Identifier: Apache-2.0

package calibrate

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
)

// Sample is what was read of a thread of a child in one state, and what is known of it. Fields are named as in Offsets.
type Sample struct {
	Child   int
	Address uint64            // of the task
	Windows map[string][]byte // by structure: what lies at the task, and at what it points to
	Values  map[string]uint64 // by field: its value
	Texts   map[string]string
	Ranges  map[string][2]uint64
}

// Pointees are what the tasks of the children point to, by address, while they are alive.
type Pointees map[uint64][]byte

// Recording is what a calibration observes. Infer needs nothing else.
type Recording struct {
	First, Other []Sample // of the first thread of each child, and of another one, before anything is known
	Running      []Sample // of the first threads, with the structure of signals
	Later        []Sample // in further states
	Namespaces   []Sample // pid namespaces, before and after reboot(2) in them
	Pointees     Pointees
	Hierarchies  Hierarchies // none: cgroups are not looked for
	GroupDead    bool        // sched_process_exit has a second argument
}

// Search is how many places a field may have. A field with more than one is not found.
type Search struct {
	Offsets Offsets
	Places  map[string][]int // of those that were looked for
}

func newSearch() *Search { return &Search{Offsets{}, map[string][]int{}} }

// take keeps a field that has one place.
func (s *Search) take(name string, places []int) {
	s.Places[name] = places
	if len(places) == 1 {
		s.Offsets[name] = places[0]
	}
}

// takeOfPair keeps one of two fields that always follow each other, and have the same value: the kernel declares them so in each version.
func (s *Search) takeOfPair(name string, places []int, which int) {
	s.Places[name] = places
	if len(places) == 2 && places[1] == places[0]+8 {
		s.Offsets[name] = places[which]
	}
}

// places returns the offsets at which it holds for all samples.
func places(samples []Sample, structure string, step int, holds func(sample Sample, window []byte, at int) bool) (found []int) {
	if len(samples) == 0 {
		return nil
	}
	for at := 0; at < len(samples[0].Windows[structure]); at += step {
		all := true
		for _, sample := range samples {
			if window := sample.Windows[structure]; at >= len(window) || !holds(sample, window, at) {
				all = false
				break
			}
		}
		if all {
			found = append(found, at)
		}
	}
	return found
}

// field looks for a number of some bytes, in the samples where its value is known.
func (s *Search) field(samples []Sample, structure, name string, size int) []int {
	field := structure + "." + name
	known := slices.DeleteFunc(slices.Clone(samples), func(sample Sample) bool {
		_, ok := sample.Values[field]
		return !ok || sample.Windows[structure] == nil
	})
	return places(known, structure, size, func(sample Sample, window []byte, at int) bool {
		return wordAt(window, at, size) == sample.Values[field]
	})
}

// wordAt returns the little-endian number; what lies beyond the window is not found: all bits are set.
func wordAt(window []byte, at, size int) uint64 {
	if at < 0 || at+size > len(window) {
		return ^uint64(0)
	}
	switch size {
	case 2:
		return uint64(binary.LittleEndian.Uint16(window[at:]))
	case 4:
		return uint64(binary.LittleEndian.Uint32(window[at:]))
	}
	return binary.LittleEndian.Uint64(window[at:])
}

// Infer returns what a recording shows.
func Infer(recording Recording) *Search {
	found := newSearch()
	found.Pointers(recording)
	found.Pids(recording.Running, recording.Pointees)
	found.Fields(slices.Concat(recording.First, recording.Other, recording.Running, recording.Later))
	found.take("pid_namespace.reboot", found.field(recording.Namespaces, "pid_namespace", "reboot", 4))
	found.Cgroups(recording)
	found.Siblings(recording.First)
	found.addTracepoints(recording.GroupDead)
	return found
}

// addTracepoints adds what the arguments of tracepoints show: since 6.16 sched_process_exit says which thread is the last (bpf/features.h). The
// field is not read: that it exists is enough.
func (s *Search) addTracepoints(groupDead bool) {
	s.Offsets["bpf_raw_tracepoint_args.args"] = 0
	if groupDead {
		s.Offsets["trace_event_raw_sched_process_exit.group_dead"] = 0
	}
}

// Fields looks for all that has a known value in some of the samples.
func (s *Search) Fields(samples []Sample) {
	for _, field := range []struct {
		structure, name string
		bytes           int
	}{
		{"task_struct", "flags", 4}, {"task_struct", "ptrace", 4}, {"task_struct", "exit_code", 4}, {"task_struct", "pdeath_signal", 4}, {"task_struct", "jobctl", 2},
		{"task_struct", "pid", 4}, {"task_struct", "tgid", 4}, {"task_struct", "real_parent", 8}, {"task_struct", "group_leader", 8},
		{"task_struct", "seccomp", 4}, {"task_struct", "thread", 8}, {"task_struct", "blocked", 8}, {"task_struct", "pending", 8},
		{"signal_struct", "live", 4}, {"signal_struct", "group_exit_code", 4}, {"signal_struct", "flags", 4}, {"signal_struct", "nr_threads", 4},
		{"signal_struct", "shared_pending", 8}, {"signal_struct", "oom_score_adj", 2},
	} {
		name := field.structure + "." + field.name
		if slices.ContainsFunc(samples, func(sample Sample) bool { _, known := sample.Values[name]; return known }) {
			s.take(name, s.field(samples, field.structure, field.name, field.bytes))
		}
	}
	s.take("task_struct.comm", places(samples, "task_struct", 4, func(sample Sample, window []byte, at int) bool {
		text, known := sample.Texts["task_struct.comm"]
		return !known || at+16 <= len(window) && bytes.HasPrefix(window[at:], append([]byte(text), 0))
	}))
	s.startTime(samples)
	s.executions(samples)
	s.trap(samples)
}

// executionsMax is more than a child has executed programs, with its ancestors.
const executionsMax = 1 << 20

// narrowExecID is task_struct.self_exec_id before 5.7: "signal: Extend exec_id to 64bits".
const narrowExecID = "task_struct.self_exec_id" + narrow

// executions looks for the number of executions, which differs between children by what is known.
func (s *Search) executions(samples []Sample) {
	placesOf := func(bytes int) []int {
		return places(samples, "task_struct", bytes, func(sample Sample, window []byte, at int) bool {
			first := wordAt(samples[0].Windows["task_struct"], at, bytes) - uint64(properties{samples[0].Child}.executions())
			return first > 0 && first < executionsMax && wordAt(window, at, bytes) == first+uint64(properties{sample.Child}.executions())
		})
	}
	if s.take("task_struct.self_exec_id", placesOf(8)); len(s.Places["task_struct.self_exec_id"]) > 0 {
		return
	}
	if found := placesOf(4); len(found) == 1 {
		delete(s.Places, "task_struct.self_exec_id")
		s.take(narrowExecID, found)
	}
}

// Siblings looks for the list of children of a task: where the list on which the last child lies ends.
func (s *Search) Siblings(first []Sample) {
	last := len(first) - 1
	inParent := func(at int) int {
		return int(wordAt(first[last].Windows["task_struct"], at, 8) - first[last].Values["task_struct.real_parent"])
	}
	found := places(first[:last], "task_struct", 8, func(sample Sample, window []byte, at int) bool {
		next := first[sample.Child+1]
		return wordAt(window, at, 8) == next.Address+uint64(at) && wordAt(next.Windows["task_struct"], at+8, 8) == sample.Address+uint64(at) &&
			inParent(at) > 0 && inParent(at) < len(window)
	})
	if s.Places["task_struct.children"] = found; len(found) == 1 {
		s.Offsets["task_struct.children"], s.Offsets["list_head.next"] = inParent(found[0]), 0
	}
}

// trap looks for the error code of the last trap, beside its number.
func (s *Search) trap(samples []Sample) {
	at, found := s.Offsets["task_struct.thread"]
	if !found {
		return
	}
	s.Offsets["thread_struct.trap_nr"] = 0
	s.take("thread_struct.error_code", slices.DeleteFunc([]int{-8, 8}, func(beside int) bool {
		return slices.ContainsFunc(samples, func(sample Sample) bool {
			code, known := sample.Values["thread_struct.error_code"]
			return known && wordAt(sample.Windows["task_struct"], at+beside, 8) != code
		})
	}))
}

// startTime looks for the time since the boot at which a process began. It follows start_time, which is without the time of suspension and read before.
func (s *Search) startTime(samples []Sample) {
	const name = "task_struct.start_boottime"
	found := places(samples, "task_struct", 8, func(sample Sample, window []byte, at int) bool {
		limits, known := sample.Ranges[name]
		value := wordAt(window, at, 8)
		return !known || limits[0] <= value && value <= limits[1]
	})
	s.Places[name] = found
	switch {
	case len(found) == 1:
		s.Offsets[name] = found[0]
	case len(found) == 2 && found[1] == found[0]+8:
		s.Offsets[name] = found[1]
	}
}

// Missing returns what was looked for and not found, sorted.
func (s *Search) Missing() (names []string) {
	for _, name := range slices.Sorted(maps.Keys(s.Places)) {
		if _, found := s.Offsets[name]; !found {
			names = append(names, name)
		}
	}
	return names
}
