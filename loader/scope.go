// SPDX-License-Identifier: Apache-2.0

// What is watched: the whole host, or one subtree of its cgroups. The probes leave out everybody else's deaths; here the subtree's top is
// found, by a number that the kernel knows.
package main

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

const (
	scopeHost = "host"
	scopePod  = "pod:"
	// podDepthMax is how deep below the root kubelet puts a pod: kubepods, its class of service, the pod.
	podDepthMax = 4
)

// scope is a cgroup; the zero value, wholeHost, is everything.
type scope struct {
	id        uint64 // kernfs_node.id: the directory's inode
	hierarchy bpfCgroupHierarchy
	directory string
}

var wholeHost scope

// tell hands the scope to the probes.
func (s scope) tell(spec *ebpf.CollectionSpec) error {
	if err := spec.Variables[bpfVarScopeId].Set(s.id); err != nil {
		return err
	}
	return spec.Variables[bpfVarScopeHierarchy].Set(s.hierarchy)
}

// findScope looks for what --scope says: in version 2's hierarchy, and where that does not have it, in the memory and the pids
// controller's, as cgroup_of() in bpf/paths.h does. Its errors are *usageError.
func findScope(text string) (scope, error) {
	if text == scopeHost {
		return wholeHost, nil
	}
	uid, isPod := strings.CutPrefix(text, scopePod)
	if !isPod && !filepath.IsAbs(text) || uid == "" || filepath.Clean(text) == "/" {
		return wholeHost, &usageError{exitConfig, fmt.Sprintf("--scope (WHODUNIT_SCOPE) is %q; it must be host, the /path of a cgroup below the root, or pod:UID", text)}
	}
	mounts, err := cgroupMounts()
	if err != nil {
		return wholeHost, err
	}
	for _, mount := range mounts {
		directory := filepath.Join(mount.path, text)
		if isPod {
			directory = podBelow(mount.path, uid)
		}
		var stat unix.Stat_t
		if directory != "" && unix.Stat(directory, &stat) == nil && stat.Mode&unix.S_IFMT == unix.S_IFDIR {
			return scope{id: stat.Ino, hierarchy: mount.hierarchy, directory: directory}, nil
		}
	}
	return wholeHost, &usageError{exitConfig, fmt.Sprintf("--scope (WHODUNIT_SCOPE) is %q, and no such cgroup is here; in a container, mount the host's /sys/fs/cgroup there, read-only", text)}
}

// podBelow gives the pod's cgroup; empty: there is none. kubelet writes the UID as it is, or, for systemd, with underscores.
func podBelow(root, uid string) (found string) {
	names := []string{"pod" + uid, "pod" + strings.ReplaceAll(uid, "-", "_")}
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return nil // it ended while we looked
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
	hierarchy bpfCgroupHierarchy
}

// cgroupMounts are those of this mount namespace that the probes may look at, best first.
func cgroupMounts() (mounts []cgroupMount, err error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("look for cgroups: %w", err)
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
			mounts = append(mounts, cgroupMount{place[4], bpfCgroupHierarchyHIERARCHY_UNIFIED})
		case kind[0] == "cgroup" && slices.Contains(options, "memory"):
			mounts = append(mounts, cgroupMount{place[4], bpfCgroupHierarchyHIERARCHY_MEMORY})
		case kind[0] == "cgroup" && slices.Contains(options, "pids"):
			mounts = append(mounts, cgroupMount{place[4], bpfCgroupHierarchyHIERARCHY_PIDS})
		}
	}
	slices.SortStableFunc(mounts, func(a, b cgroupMount) int { return int(a.hierarchy) - int(b.hierarchy) })
	return mounts, nil
}
