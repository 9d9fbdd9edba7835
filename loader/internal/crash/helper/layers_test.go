// SPDX-License-Identifier: Apache-2.0

package helper

import (
	"strings"
	"testing"
)

func TestHowTheFilesOfContainersAreOpened(t *testing.T) {
	root, hosts := mount{point: "/", kind: "overlay"}, func(kind string) mount { return mount{point: "/etc/hosts", kind: kind} }
	for _, place := range []struct {
		name       string
		mounts     []mount
		mayReadAll bool
		missing    string // "": nothing
	}{
		{"on a machine", []mount{{point: "/", kind: "ext4"}}, false, ""},
		{"in a container, with the capability", []mount{root, hosts("ext4")}, true, ""},
		{"in a container on XFS, with the capability", []mount{root, {point: "/run/whodunit", kind: "tmpfs"}, hosts("xfs")}, true, ""},
		{"in a container, without the capability", []mount{root, hosts("ext4")}, false, "grant CAP_DAC_READ_SEARCH"},
		{"in a container on btrfs", []mount{root, hosts("btrfs")}, true, "mount the directory of the layers"},
		{"in a container on btrfs, with the layers", []mount{root, hosts("btrfs"), {point: "/var/lib/docker", kind: "btrfs"}}, true, ""},
		{"in a container whose engine has all in memory", []mount{root, hosts("tmpfs")}, true, "mount the directory of the layers"},
	} {
		t.Run(place.name, func(t *testing.T) {
			if got := layersOf(place.mounts).Missing(place.mayReadAll); (got == "") != (place.missing == "") || !strings.Contains(got, place.missing) {
				t.Errorf("%q, want %q", got, place.missing)
			}
		})
	}
}
