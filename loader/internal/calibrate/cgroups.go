// SPDX-License-Identifier: Apache-2.0

package calibrate

import (
	"bytes"
	"slices"
)

// Directory is what is known of the cgroup of a child: those of the first two children are in one cgroup, and each has that of another child in it.
type Directory struct {
	Name     string
	Inode    uint64
	Mode     uint64
	UID, GID uint64
}

// Hierarchies have the cgroups of the children, by number, in each hierarchy: the unified one, and those of version 1 that the probes look at.
type Hierarchies map[string][]Directory

const unified = ""

// controllers have hierarchies of version 1 that the probes look at (cgroup_of() in bpf/paths.h).
func controllers() []string { return []string{"memory", "pids"} }

const (
	// cssSetBytes is what is looked at of a css_set, cssBytes of a cgroup_subsys_state, which begins with the address of its cgroup, and nodeBytes
	// of a directory: another one may follow.
	cssSetBytes = 1024
	cssBytes    = 16
	nodeBytes   = 128
)

// outer is the child whose cgroup has that of this one in it; -1: none.
func outer(number int) int { return number - children/2 }

// unifiedPath leads from a task to its cgroup.
var unifiedPath = []string{"task_struct.cgroups", "css_set.dfl_cgrp"}

// Cgroups looks for the cgroups of a task, and their directories. The fields are found together, or not at all: without one of them, what a
// record says of cgroups would be wrong.
func (s *Search) Cgroups(recording Recording) {
	if recording.Hierarchies[unified] == nil {
		return
	}
	s.unifiedCgroup(recording)
	s.directoryOfCgroup(recording)
	s.insideDirectory(recording)
	fields := slices.Concat(unifiedPath, []string{
		"cgroup.kn", "cgroup.level", "kernfs_node.parent", "kernfs_node.name", "kernfs_node.id", "kernfs_node.mode", "kernfs_node.iattr", "kernfs_iattrs.ia_uid",
	})
	for _, controller := range controllers() {
		if recording.Hierarchies[controller] != nil {
			s.cgroupOfController(recording, controller)
			fields = append(fields, "css_set."+controller, "cgroup_subsys_state.cgroup")
		}
	}
	if slices.ContainsFunc(fields, func(name string) bool { _, found := s.Offsets[name]; return !found }) {
		for _, name := range append(fields, "cgroup.ancestors", "cgroup.ancestor_ids") {
			delete(s.Offsets, name)
		}
	}
}

// chain returns what the fields, one after the other, lead to from the task of a sample: an address and what lies there.
func (s *Search) chain(recording Recording, sample Sample, fields ...string) (address uint64, window []byte) {
	window = sample.Windows["task_struct"]
	for _, field := range fields {
		at, found := s.Offsets[field]
		if !found {
			return 0, nil
		}
		address = wordAt(window, at, 8)
		window = recording.Pointees[address]
	}
	return address, window
}

// seen is a structure of each child, by its number, with its address.
func (s *Search) seen(recording Recording, bytes int, fields ...string) (all []Sample) {
	for _, sample := range recording.First {
		address, window := s.chain(recording, sample, fields...)
		if window == nil {
			return nil
		}
		all = append(all, Sample{Child: sample.Child, Address: address, Windows: map[string][]byte{"": window[:min(bytes, len(window))]}})
	}
	return all
}

// pointers returns the offsets of pointers that differ between all, and lead to what was recorded.
func pointers(all []Sample, pointees Pointees) []int {
	seen := map[int]map[uint64]bool{}
	return slices.DeleteFunc(places(all, "", 8, func(sample Sample, window []byte, at int) bool {
		value := wordAt(window, at, 8)
		if seen[at] == nil {
			seen[at] = map[uint64]bool{}
		}
		seen[at][value] = true
		return pointees[value] != nil
	}), func(at int) bool { return len(seen[at]) < len(all) })
}

// cgroupOfController looks for the cgroup in the hierarchy of a controller, where the unified one is known.
func (s *Search) cgroupOfController(recording Recording, controller string) {
	pointees := recording.Pointees
	sets := s.seen(recording, cssSetBytes, "task_struct.cgroups")
	var ofSet, ofState []int
	for _, set := range pointers(sets, pointees) {
		states := follow(sets, pointees, set, cssBytes)
		for _, state := range pointers(states, pointees) {
			cgroups := follow(states, pointees, state, windowBytes)
			if s.areCalled(cgroups, pointees, recording.Hierarchies[controller]) {
				ofSet, ofState = append(ofSet, set), append(ofState, state)
			}
		}
	}
	s.take("css_set."+controller, ofSet)
	if s.Places["css_set."+controller] = ofSet; len(ofSet) != 1 {
		return
	}
	if known, ok := s.Offsets["cgroup_subsys_state.cgroup"]; ok && known != ofState[0] {
		delete(s.Offsets, "css_set."+controller)
		return
	}
	s.Offsets["cgroup_subsys_state.cgroup"] = ofState[0]
}

// areCalled reports whether cgroups have these names.
func (s *Search) areCalled(cgroups []Sample, pointees Pointees, directories []Directory) bool {
	kn, found := s.Offsets["cgroup.kn"]
	name, alsoFound := s.Offsets["kernfs_node.name"]
	return found && alsoFound && !slices.ContainsFunc(cgroups, func(one Sample) bool {
		node := pointees[wordAt(one.Windows[""], kn, 8)]
		return !bytes.HasPrefix(pointees[wordAt(node, name, 8)], append([]byte(directories[one.Child].Name), 0))
	})
}

// levelsMax is more than a cgroup of the loader has above it.
const levelsMax = 64

func depth(number int) int {
	if outer(number) < 0 {
		return 0
	}
	return 1
}

// follow returns what the pointers at an offset lead to.
func follow(all []Sample, pointees Pointees, at, bytes int) (next []Sample) {
	for _, sample := range all {
		address := wordAt(sample.Windows[""], at, 8)
		window := pointees[address]
		next = append(next, Sample{Child: sample.Child, Address: address, Windows: map[string][]byte{"": window[:min(bytes, len(window))]}})
	}
	return next
}

func (s *Search) directoryOfCgroup(recording Recording) {
	directories := recording.Hierarchies[unified]
	cgroups := s.seen(recording, windowBytes, unifiedPath...)
	if cgroups == nil {
		return
	}
	for _, bytes := range []int{8, 4} { // Before 5.5 a generation follows the inode.
		inodesAt := func(at int) []int {
			return places(follow(cgroups, recording.Pointees, at, nodeBytes), "", 8, func(sample Sample, window []byte, at int) bool {
				return wordAt(window, at, bytes) == directories[sample.Child].Inode
			})
		}
		found := slices.DeleteFunc(pointers(cgroups, recording.Pointees), func(at int) bool { return len(inodesAt(at)) != 1 })
		if s.take("cgroup.kn", found); len(found) == 1 {
			s.take("kernfs_node.id", inodesAt(found[0]))
			return
		}
	}
}

func (s *Search) insideDirectory(recording Recording) {
	directories := recording.Hierarchies[unified]
	nodes := s.seen(recording, nodeBytes, "task_struct.cgroups", "css_set.dfl_cgrp", "cgroup.kn")
	if nodes == nil {
		return
	}
	pointees := recording.Pointees
	s.take("kernfs_node.name", places(nodes, "", 8, func(sample Sample, window []byte, at int) bool {
		return bytes.HasPrefix(pointees[wordAt(window, at, 8)], append([]byte(directories[sample.Child].Name), 0))
	}))
	s.take("kernfs_node.mode", places(nodes, "", 2, func(sample Sample, window []byte, at int) bool {
		return wordAt(window, at, 2) == directories[sample.Child].Mode
	}))
	s.take("kernfs_node.parent", places(nodes, "", 8, isParent(nodes)))
	owners := func(at int) []int {
		return places(follow(nodes, pointees, at, nodeBytes), "", 4, func(sample Sample, window []byte, at int) bool {
			known := directories[sample.Child]
			return wordAt(window, at, 4) == known.UID && wordAt(window, at+4, 4) == known.GID
		})
	}
	found := slices.DeleteFunc(pointers(nodes, pointees), func(at int) bool { return len(owners(at)) != 1 })
	if s.take("kernfs_node.iattr", found); len(found) == 1 {
		s.take("kernfs_iattrs.ia_uid", owners(found[0]))
	}
}
