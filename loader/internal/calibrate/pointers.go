// SPDX-License-Identifier: Apache-2.0

package calibrate

import "slices"

// Pointers looks for what a task points to: structures that hold what was set in each child. Another thread points to the
// same ones but for its credentials.
func (s *Search) Pointers(recording Recording) {
	first, other, pointees := recording.First, recording.Other, recording.Pointees
	inside := func(name string, structure string, matches func(known properties, window []byte, at int) bool) (found []int, within int) {
		found = places(first, "task_struct", 8, func(sample Sample, window []byte, at int) bool {
			value := wordAt(window, at, 8)
			return pointees[value] != nil && (structure == "cred" || wordAt(other[slices.IndexFunc(other, func(one Sample) bool { return one.Child == sample.Child })].Windows["task_struct"], at, 8) == value)
		})
		found = slices.DeleteFunc(found, func(at int) bool {
			var here []Sample
			for _, sample := range first {
				pointee := pointees[wordAt(sample.Windows["task_struct"], at, 8)]
				if structure == "cred" {
					pointee = pointee[:credBytes]
				}
				here = append(here, Sample{Child: sample.Child, Windows: map[string][]byte{structure: pointee}})
			}
			places := places(here, structure, 4, func(sample Sample, window []byte, at int) bool { return matches(properties{sample.Child}, window, at) })
			if len(places) == 1 {
				within = places[0]
			}
			return len(places) != 1
		})
		s.Places[name] = found
		return found, within
	}
	signal, _ := inside("task_struct.signal", "signal_struct", func(known properties, window []byte, at int) bool {
		return at%8 == 0 && wordAt(window, at, 8) == known.limit() && wordAt(window, at+8, 8) == known.limit()+7
	})
	s.take("task_struct.signal", signal)
	for stride := 24; stride <= 40; stride += 8 {
		sighand, at := inside("task_struct.sighand", "sighand_struct", func(known properties, window []byte, at int) bool {
			return at%8 == 0 && wordAt(window, at, 8) == known.handler() && wordAt(window, at+stride, 8) == known.handler()+handlerStep
		})
		if len(sighand) == 1 {
			defer func() { s.Places["task_struct.sighand"] = sighand }()
			s.take("task_struct.sighand", sighand)
			s.Offsets["sighand_struct.action"], s.Offsets["k_sigaction."+sizeOf] = at-(handledSignal-1)*stride, stride
			s.Offsets["k_sigaction.sa"], s.Offsets["sigaction.sa_handler"] = 0, 0
		}
	}
	cred, at := inside("task_struct.cred", "cred", func(known properties, window []byte, at int) bool {
		// uid, gid, suid, sgid, euid, egid
		for i, id := range []uint32{1, 4, 3, 6, 2, 5} {
			if wordAt(window, at+4*i, 4) != uint64(known.user()+id) {
				return false
			}
		}
		return true
	})
	s.takeOfPair("task_struct.cred", cred, 1)
	if _, found := s.Offsets["task_struct.cred"]; found {
		s.Offsets["cred.uid"], s.Offsets["cred.euid"], s.Offsets["cred.egid"] = at, at+16, at+20
	}
	mm, at := s.argumentPlaces(first, inside)
	s.takeOfPair("task_struct.mm", mm, 0)
	s.takeArguments(at)
}

// takeArguments takes the fields of the arguments, one after the other from `at` on, if the structure with them was found.
func (s *Search) takeArguments(at int) {
	if _, found := s.Offsets["task_struct.mm"]; !found {
		return
	}
	for i, name := range argumentFields() {
		s.Offsets[name] = at + 8*i
	}
}

func argumentFields() []string {
	return []string{"mm_struct.arg_start", "mm_struct.arg_end", "mm_struct.env_start", "mm_struct.env_end"}
}

func (s *Search) argumentPlaces(first []Sample, inside func(string, string, func(properties, []byte, int) bool) ([]int, int)) ([]int, int) {
	known := map[int]Sample{}
	for _, sample := range first {
		known[sample.Child] = sample
	}
	return inside("task_struct.mm", "mm_struct", func(child properties, window []byte, at int) bool {
		if at%8 != 0 {
			return false
		}
		for i, name := range argumentFields() {
			if value := known[child.number].Values[name]; value == 0 || wordAt(window, at+8*i, 8) != value {
				return false
			}
		}
		return true
	})
}

// upidBytes is the size of a process's number in one namespace: the number, and the address of the namespace.
const upidBytes = 16

// Pids looks for the numbers of a process in its namespaces. One child is PID 1 of a namespace below.
func (s *Search) Pids(running []Sample, pointees Pointees) {
	pidsOf := func(at int) (all []Sample) {
		for _, sample := range running {
			all = append(all, Sample{Child: sample.Child, Values: sample.Values, Windows: map[string][]byte{"pid": pointees[wordAt(sample.Windows["signal_struct"], at, 8)][:pidBytes]}})
		}
		return all
	}
	numbersAt := func(at int) []int {
		return places(pidsOf(at), "pid", 8, func(sample Sample, window []byte, at int) bool {
			return wordAt(window, at, 4) == sample.Values["task_struct.tgid"] && (!(properties{sample.Child}).isolated() || wordAt(window, at+upidBytes, 4) == 1)
		})
	}
	found := places(running, "signal_struct", 8, func(sample Sample, window []byte, at int) bool {
		return pointees[wordAt(window, at, 8)] != nil
	})
	found = slices.DeleteFunc(found, func(at int) bool { return len(numbersAt(at)) != 1 })
	s.Places["signal_struct.pids"] = found
	if len(found) != 1 {
		return
	}
	levels := places(pidsOf(found[0]), "pid", 4, func(sample Sample, window []byte, at int) bool {
		level := uint64(0)
		if (properties{sample.Child}).isolated() {
			level = 1
		}
		return at < numbersAt(found[0])[0] && wordAt(window, at, 4) == level
	})
	if s.take("pid.level", levels); len(levels) == 1 {
		s.Offsets["signal_struct.pids"] = found[0] - 8 // PIDTYPE_TGID is the second
		s.Offsets["pid.numbers"], s.Offsets["upid.nr"], s.Offsets["upid."+sizeOf] = numbersAt(found[0])[0], 0, upidBytes
		s.Offsets["upid.ns"] = upidBytes - 8 // the only other field
	}
}

// credBytes is what is looked at of credentials: each thread has its own, with the same numbers, and the next ones begin after some 170 bytes.
const credBytes = 128

// pidBytes is what is looked at of a struct pid.
const pidBytes = 256
