// SPDX-License-Identifier: Apache-2.0

package helper

import (
	"cmp"
	"slices"
)

// withHandles are the file systems whose handles are known, and that can have the layers of containers.
var withHandles = []string{"ext4", "xfs"}

// withoutHandles can have layers, too: files in them are found by their path.
var withoutHandles = []string{"btrfs", "zfs", "f2fs", "bcachefs"}

// Layers says how the files of containers can be opened from here.
type Layers struct {
	InContainer bool   // this process is in one itself; else it sees what this machine has mounted
	ByHandle    string // the file system in which any file can be opened, with CAP_DAC_READ_SEARCH; "": none
	ByPath      string // the directory below which files can be opened; "": none
}

// FindLayers reads the mounts of this process.
func FindLayers() Layers { return layersOf(readMounts()) }

func layersOf(mounts []mount) (found Layers) {
	for _, mount := range mounts {
		switch {
		case mount.point == "/":
			found.InContainer = mount.kind == "overlay"
		case slices.Contains(withHandles, mount.kind):
			found.ByHandle = cmp.Or(found.ByHandle, mount.kind)
		case slices.Contains(withoutHandles, mount.kind) && !ofEngine[mount.point]:
			found.ByPath = cmp.Or(found.ByPath, mount.point)
		}
	}
	return found
}

// ofEngine are the files that every engine mounts into a container. They lie in its data directory, as the layers do, and are no directory below
// which these could be found.
var ofEngine = map[string]bool{"/etc/hosts": true, "/etc/hostname": true, "/etc/resolv.conf": true}

// Missing returns what has no names in stacks, and what to do about it; "": nothing. mayReadAll: with CAP_DAC_READ_SEARCH.
func (l Layers) Missing(mayReadAll bool) string {
	if !l.InContainer || l.ByPath != "" || (l.ByHandle != "" && mayReadAll) {
		return ""
	}
	remedy := "mount the directory of the layers, read-only (Docker: --volume /var/lib/docker:/var/lib/docker:ro,rslave; Kubernetes: a hostPath volume of /var/lib/containerd, with readOnly and mountPropagation: HostToContainer)"
	if l.ByHandle != "" {
		remedy = "grant CAP_DAC_READ_SEARCH, which only the process that unwinds keeps (Docker: --cap-add DAC_READ_SEARCH; Kubernetes: capabilities: {add: [DAC_READ_SEARCH]})"
	}
	return "functions of programs in containers, and of this machine, have no names; " + remedy
}
