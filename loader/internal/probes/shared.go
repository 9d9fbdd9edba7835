// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"

	"whodunit/loader/internal/abi"
)

// What package oldprobes shares with this one: the directory of the pins, and how an object is loaded.

// OpenPins makes the directory of the pins of this ABI, and locks it until the file is closed. It refuses what CheckPins refuses.
func OpenPins(pinDirectory string) (directory string, lock *os.File, err error) {
	if err := mountBpffs(pinDirectory); err != nil {
		return "", nil, err
	}
	if err := CheckPins(pinDirectory); err != nil {
		return "", nil, err
	}
	directory = filepath.Join(pinDirectory, abiDirectory(uint32(abi.EventAbiEVENT_ABI)))
	lock, err = makeDirectory(directory)
	return directory, lock, err
}

// RemovePinsIfEmpty removes the directory of OpenPins if nothing is pinned there.
func RemovePinsIfEmpty(directory string) { removeIfEmpty(directory) }

// SeesPids reports whether the pids of the probes are those that this process sees.
func SeesPids() (bool, error) { return inHostPidNamespace() }

// Relocation returns what relocates an object by these types.
func (t Types) Relocation() ebpf.CollectionOptions { return t.opened().options() }

// ReadAbsentAsZero lets the programs of an object read 0 where types that are not the kernel's own do not have a field.
func (t Types) ReadAbsentAsZero(spec *ebpf.CollectionSpec) error {
	if t.Own() {
		return nil
	}
	return readAbsentAsZero(spec, t.spec)
}

// RejectAbsent lets the verifier reject a program of an object that can reach a read of a field that these types do not have. For kernels before 4.15, which
// crash on what CO-RE puts there.
func (t Types) RejectAbsent(spec *ebpf.CollectionSpec) error {
	if t.Own() {
		return nil
	}
	return rejectAbsent(spec, t.spec)
}

// ExplainLoad adds the remedy to the error of loading an object.
func ExplainLoad(err error, directory string) error { return explainLoad(err, directory) }

// UndoPinsIfFails calls load. If that fails, it removes what load has pinned in the directory of OpenPins.
func UndoPinsIfFails(directory string, load func() error) error {
	return (&Probes{directory: directory}).undoIfFails(load)
}
