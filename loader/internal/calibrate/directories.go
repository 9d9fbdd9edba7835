// SPDX-License-Identifier: Apache-2.0

package calibrate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	directoryPrefix = "whodunit-calibration"
	// removeLongest is how long a cgroup may be busy after its last process has ended.
	removeLongest = 2 * time.Second
)

// makerPattern finds the pid of the process that made a cgroup.
var makerPattern = regexp.MustCompile(`(\d+)-\d+$`)

// directories are the cgroups of the children, by hierarchy and number. They exist only while a calibration runs.
type directories map[string][]string

// makeDirectories makes a cgroup for each child in each hierarchy that the probes look at. Where it may not, or the unified one is not mounted,
// there are none.
func makeDirectories() (made directories, err error) {
	made = directories{}
	mounted, err := mountedHierarchies()
	if mounted[unified] == "" {
		return made, err
	}
	for hierarchy, top := range mounted {
		if err == nil {
			removeLeft(top)
			err = made.makeIn(hierarchy, top)
		}
	}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) {
		return nil, made.remove()
	}
	if err != nil {
		return nil, errors.Join(err, made.remove())
	}
	return made, nil
}

// removeLeft removes the cgroups of a calibration that was killed: of a process that does not exist. Another loader may be calibrating.
func removeLeft(top string) {
	outers, _ := filepath.Glob(filepath.Join(top, directoryPrefix+"*")) // The pattern has no error.
	for _, path := range outers {
		maker := makerPattern.FindStringSubmatch(path)
		if maker == nil {
			continue
		}
		if pid, _ := strconv.Atoi(maker[1]); pid == os.Getpid() || unix.Kill(pid, 0) != unix.ESRCH {
			continue
		}
		inners, _ := filepath.Glob(filepath.Join(path, directoryPrefix+"*"))
		for _, path := range append(inners, path) {
			os.Remove(path)
		}
	}
}

func (d directories) makeIn(hierarchy, top string) error {
	for number := range children {
		parent, known := top, properties{number}
		if above := outer(number); above >= 0 {
			parent = d[hierarchy][above]
		}
		path := filepath.Join(parent, fmt.Sprintf("%s-%s%d-%d", directoryPrefix, hierarchy, os.Getpid(), number))
		if err := os.Mkdir(path, 0o755); err != nil {
			return err
		}
		d[hierarchy] = append(d[hierarchy], path)
		if err := errors.Join(os.Chown(path, int(known.user()+7), int(known.user()+8)), os.Chmod(path, fs.FileMode(known.mode()))); err != nil {
			return err
		}
	}
	return nil
}

// mountedHierarchies returns where the hierarchies are mounted that the probes look at. Each is mounted first as a whole: systemd mounts a single
// file of it for a unit (memory.pressure).
func mountedHierarchies() (map[string]string, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	found := map[string]string{}
	add := func(hierarchy, mountedAt string) {
		if found[hierarchy] == "" {
			found[hierarchy] = mountedAt
		}
	}
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) < 4:
		case fields[2] == "cgroup2":
			add(unified, fields[1])
		case fields[2] == "cgroup":
			for _, controller := range controllers() {
				if slices.Contains(strings.Split(fields[3], ","), controller) {
					add(controller, fields[1])
				}
			}
		}
	}
	return found, err
}

// add moves a child into its cgroups.
func (d directories) add(c *child) error {
	for _, paths := range d {
		if err := os.WriteFile(filepath.Join(paths[c.number], "cgroup.procs"), fmt.Append(nil, c.pid), 0); err != nil {
			return fmt.Errorf("move child %d into a cgroup: %w", c.number, err)
		}
	}
	return nil
}

// known returns what Infer needs to know of them.
func (d directories) known() (Hierarchies, error) {
	known := Hierarchies{}
	for hierarchy, paths := range d {
		for _, path := range paths {
			var stat unix.Stat_t
			if err := unix.Stat(path, &stat); err != nil {
				return nil, fmt.Errorf("stat %s: %w", path, err)
			}
			known[hierarchy] = append(known[hierarchy], Directory{Name: filepath.Base(path), Inode: stat.Ino, Mode: uint64(stat.Mode), UID: uint64(stat.Uid), GID: uint64(stat.Gid)})
		}
	}
	return known, nil
}

// remove removes them. Their processes have ended.
func (d directories) remove() (err error) {
	for _, paths := range d {
		for _, path := range slices.Backward(paths) {
			for begin := time.Now(); ; time.Sleep(settlePause) {
				removed := os.Remove(path)
				if !errors.Is(removed, unix.EBUSY) || time.Since(begin) > removeLongest {
					err = errors.Join(err, removed)
					break
				}
			}
		}
	}
	return err
}
