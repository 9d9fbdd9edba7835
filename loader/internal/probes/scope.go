// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/exitcode"
)

const (
	// ScopeHost is the text that selects the whole host.
	ScopeHost = "host"
	scopePod  = "pod:"
	// podDepthMax limits the search below the root. The deepest path that kubelet uses is kubelet/kubepods/CLASS/POD.
	podDepthMax = 4
	// depthMax limits how deep the top of a scope may be: the probes compare the ancestors of a cgroup up to this level.
	depthMax = int(abi.CgroupLimitCGROUP_DEPTH_MAX)
)

// Scope is what is watched: the whole host (the zero value), or one subtree of its cgroups.
type Scope struct {
	Directory string // of the subtree's top
	id        uint64 // kernfs_node.id of the top: the directory's inode
	hierarchy abi.CgroupHierarchy
}

// IsHost reports whether everything is watched.
func (s Scope) IsHost() bool { return s == Scope{} }

// FindScope finds the cgroup that the text of --scope names: in the hierarchy of version 2 and, if it is not there, in those of the memory and
// the pids controller, as cgroup_of() of the probes does. The error has exitcode.Config if the text is malformed or no cgroup matches.
func FindScope(text string) (Scope, error) {
	if text == ScopeHost {
		return Scope{}, nil
	}
	uid, isPod := strings.CutPrefix(text, scopePod)
	if !isPod && !filepath.IsAbs(text) || uid == "" || filepath.Clean(text) == "/" {
		return Scope{}, exitcode.Errorf(exitcode.Config, "--scope (WHODUNIT_SCOPE) is %q; it must be host, the /path of a cgroup below the root, or pod:UID of a Kubernetes pod", text)
	}
	mounts, err := cgroupMounts()
	if err != nil {
		return Scope{}, err
	}
	if depth := strings.Count(filepath.Clean(text), "/"); depth > depthMax {
		return Scope{}, exitcode.Errorf(exitcode.Config, "--scope (WHODUNIT_SCOPE) is a cgroup %d levels below the root; the limit is %d; watch one of those above it", depth, depthMax)
	}
	for _, mount := range mounts {
		directory := filepath.Join(mount.path, text)
		if isPod {
			directory = podBelow(mount.path, uid)
		}
		var stat unix.Stat_t
		if directory != "" && unix.Stat(directory, &stat) == nil && stat.Mode&unix.S_IFMT == unix.S_IFDIR {
			return Scope{Directory: directory, id: stat.Ino, hierarchy: mount.hierarchy}, nil
		}
	}
	return Scope{}, exitcode.Errorf(exitcode.Config, "--scope (WHODUNIT_SCOPE) is %q; there is no such cgroup here; in a container, mount the host's /sys/fs/cgroup, read-only", text)
}

// podBelow returns the directory of the pod's cgroup, "" if there is none. kubelet writes the UID as it is or, with systemd, with underscores.
func podBelow(root, uid string) (found string) {
	names := []string{"pod" + uid, "pod" + strings.ReplaceAll(uid, "-", "_")}
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return nil // The cgroup was removed in the meantime.
		}
		name := strings.TrimSuffix(entry.Name(), ".slice")
		if slices.ContainsFunc(names, func(wanted string) bool { return strings.HasSuffix(name, wanted) }) {
			found = path
			return fs.SkipAll
		}
		below, _ := filepath.Rel(root, path)
		if strings.Count(below, "/") >= podDepthMax || below != "." && !strings.Contains(below, "kubepods") && !strings.HasPrefix(below, "kubelet") {
			return fs.SkipDir
		}
		return nil
	})
	return found
}

type cgroupMount struct {
	path      string
	hierarchy abi.CgroupHierarchy
}

// cgroupMounts returns the hierarchies in this mount namespace that the probes can use, in the order of preference.
func cgroupMounts() (mounts []cgroupMount, err error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("find the cgroup mounts: %w", err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		mount, filesystem, _ := strings.Cut(lines.Text(), " - ")
		place, kind := strings.Fields(mount), strings.Fields(filesystem)
		if len(place) < 5 || len(kind) < 3 {
			continue
		}
		options := strings.Split(kind[2], ",")
		switch {
		case kind[0] == "cgroup2":
			mounts = append(mounts, cgroupMount{place[4], abi.CgroupHierarchyHIERARCHY_UNIFIED})
		case kind[0] == "cgroup" && slices.Contains(options, "memory"):
			mounts = append(mounts, cgroupMount{place[4], abi.CgroupHierarchyHIERARCHY_MEMORY})
		case kind[0] == "cgroup" && slices.Contains(options, "pids"):
			mounts = append(mounts, cgroupMount{place[4], abi.CgroupHierarchyHIERARCHY_PIDS})
		}
	}
	slices.SortStableFunc(mounts, func(a, b cgroupMount) int { return int(a.hierarchy) - int(b.hierarchy) })
	return mounts, nil
}
