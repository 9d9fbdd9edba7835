// SPDX-License-Identifier: Apache-2.0

package calibrate

// kernelMin is the lowest address of the kernel, on x86-64 and arm64.
const kernelMin = 0xff00_0000_0000_0000

// readPointees reads what a structure of each child points to: only pointers that differ between children.
func (w *watch) readPointees(all []Sample, structure string) error {
	for at := 0; len(all) > 0 && at+8 <= len(all[0].Windows[structure]); at += 8 {
		if err := w.readPointeesAt(all, structure, at); err != nil {
			return err
		}
	}
	return nil
}

func (w *watch) readPointeesAt(all []Sample, structure string, at int) error {
	seen := map[uint64]bool{}
	for _, sample := range all {
		if value := wordAt(sample.Windows[structure], at, 8); value >= kernelMin && value%8 == 0 {
			seen[value] = true
		}
	}
	if len(seen) < len(all) {
		return nil
	}
	for address := range seen {
		if w.recording.Pointees[address] != nil {
			continue
		}
		window, err := w.read(address, windowBytes)
		if err != nil {
			return err
		}
		w.recording.Pointees[address] = window
	}
	return nil
}

// recordCgroups records what the tasks lead to, as far as cgroups are there.
func (w *watch) recordCgroups() error {
	if w.recording.Hierarchies[unified] == nil {
		return nil
	}
	pointees := w.recording.Pointees
	tasks := w.search.seen(w.recording, taskBytesMax)
	for _, at := range pointers(tasks, pointees) {
		if err := w.readPointees(follow(tasks, pointees, at, cssSetBytes), ""); err != nil {
			return err
		}
	}
	w.search.unifiedCgroup(w.recording)
	if err := w.readPointees(w.search.seen(w.recording, windowBytes, unifiedPath...), ""); err != nil {
		return err
	}
	w.search.directoryOfCgroup(w.recording)
	if err := w.readPointees(w.search.seen(w.recording, nodeBytes, "task_struct.cgroups", "css_set.dfl_cgrp", "cgroup.kn"), ""); err != nil {
		return err
	}
	w.search.insideDirectory(w.recording)
	return w.recordControllers()
}

// recordControllers records what leads to the cgroups of controllers with a hierarchy of their own, and their names.
func (w *watch) recordControllers() error {
	if len(w.recording.Hierarchies) == 1 {
		return nil
	}
	pointees := w.recording.Pointees
	kn, name := w.search.Offsets["cgroup.kn"], w.search.Offsets["kernfs_node.name"]
	sets := w.search.seen(w.recording, cssSetBytes, "task_struct.cgroups")
	for _, set := range pointers(sets, pointees) {
		states := follow(sets, pointees, set, cssBytes)
		if err := w.readPointees(states, ""); err != nil {
			return err
		}
		for _, state := range pointers(states, pointees) {
			cgroups := follow(states, pointees, state, windowBytes)
			if err := w.readPointeesAt(cgroups, "", kn); err != nil {
				return err
			}
			if err := w.readPointeesAt(follow(cgroups, pointees, kn, nodeBytes), "", name); err != nil {
				return err
			}
		}
	}
	return nil
}
