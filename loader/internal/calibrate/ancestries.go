// SPDX-License-Identifier: Apache-2.0

package calibrate

import "slices"

// ancestry is where a task's cgroup was found, and how a cgroup remembers those above it, from the root on. own is where it has its own, of a child
// whose cgroup has another one in it.
type ancestry struct {
	cgroups, dflCgrp, own int
	by                    remembered
}

// remembered is what a cgroup has of those above it.
type remembered int

const (
	addresses remembered = iota // since 6.1
	inodes                      // since 5.5
	numbers                     // nothing else shows them: it is found by the address of the one right above
)

func (s *Search) unifiedCgroup(recording Recording) {
	found := s.ancestriesBy(recording, addresses, inodes)
	if len(found) == 0 {
		found = s.ancestriesBy(recording, numbers)
	}
	s.Places["css_set.dfl_cgrp"] = nil
	for _, one := range found {
		s.Places["css_set.dfl_cgrp"] = append(s.Places["css_set.dfl_cgrp"], one.dflCgrp)
	}
	if len(found) == 1 {
		s.Offsets["task_struct.cgroups"], s.Offsets["css_set.dfl_cgrp"] = found[0].cgroups, found[0].dflCgrp
		s.levelOfCgroup(s.seen(recording, windowBytes, unifiedPath...), found[0])
	}
}

func (s *Search) ancestriesBy(recording Recording, ways ...remembered) (found []ancestry) {
	tasks := s.seen(recording, taskBytesMax)
	for _, cgroups := range pointers(tasks, recording.Pointees) {
		sets := follow(tasks, recording.Pointees, cgroups, cssSetBytes)
		for _, dflCgrp := range pointers(sets, recording.Pointees) {
			all := follow(sets, recording.Pointees, dflCgrp, windowBytes)
			for _, by := range ways {
				for _, own := range ancestries(all, recording.Hierarchies[unified], by) {
					found = append(found, ancestry{cgroups, dflCgrp, own, by})
				}
			}
		}
	}
	return found
}

func (s *Search) levelOfCgroup(all []Sample, found ancestry) {
	levels := places(all, "", 4, func(sample Sample, window []byte, at int) bool {
		first := wordAt(all[0].Windows[""], at, 4)
		return first > 0 && first < levelsMax && wordAt(window, at, 4) == first+uint64(depth(sample.Child))
	})
	if s.take("cgroup.level", levels); len(levels) != 1 {
		return
	}
	root := found.own - 8*int(wordAt(all[0].Windows[""], levels[0], 4))
	switch found.by {
	case addresses:
		s.Offsets["cgroup.ancestors"] = root
	case inodes:
		s.Offsets["cgroup.ancestor_ids"] = root
	case numbers: // The probes of those kernels do not need them.
	}
}

// ancestries returns where structures have their own address or inode, behind that of the outer one; by numbers, the address of the one above, where
// they begin with their own (cgroup.self.parent and cgroup.self.cgroup).
func ancestries(all []Sample, directories []Directory, by remembered) []int {
	if by == numbers {
		if slices.ContainsFunc(all, func(one Sample) bool { return wordAt(one.Windows[""], 0, 8) != one.Address }) {
			return nil
		}
		return places(all, "", 8, isParent(all))
	}
	own := func(number int) uint64 {
		if by == inodes {
			return directories[number].Inode
		}
		return all[number].Address
	}
	return places(all, "", 8, func(sample Sample, window []byte, at int) bool {
		if above := outer(sample.Child); above >= 0 {
			return wordAt(window, at, 8) == own(above) && wordAt(window, at+8, 8) == own(sample.Child)
		}
		return wordAt(window, at, 8) == own(sample.Child)
	})
}

// isParent holds where a structure of each child, by its number, has the address of the outer one, and those without an outer one have the same.
func isParent(all []Sample) func(sample Sample, window []byte, at int) bool {
	return func(sample Sample, window []byte, at int) bool {
		value := wordAt(window, at, 8)
		if above := outer(sample.Child); above >= 0 {
			return value == all[above].Address
		}
		return value == wordAt(all[0].Windows[""], at, 8) && value >= kernelMin
	}
}
