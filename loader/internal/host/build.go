// SPDX-License-Identifier: Apache-2.0

package host

import (
	"encoding/binary"
	"encoding/hex"
	"os"
	"strings"
)

const (
	kernelNotes = "/sys/kernel/notes"
	noteBuildID = 3 // NT_GNU_BUILD_ID of elf(5)
	noteHeader  = 12
	noteAlign   = 4
)

// KernelBuild identifies the build of this kernel: what `uname -rv` prints, and the build id if the kernel shows one.
func KernelBuild() string {
	release, version := kernel()
	notes, _ := os.ReadFile(kernelNotes) // CONFIG_SYSFS may lack them.
	return strings.TrimSpace(release + " " + version + " " + buildIDIn(notes))
}

// buildIDIn returns the build id in the notes of an ELF file, "" if there is none.
func buildIDIn(notes []byte) string {
	aligned := func(bytes uint32) uint64 { return (uint64(bytes) + noteAlign - 1) &^ (noteAlign - 1) }
	for len(notes) >= noteHeader {
		nameBytes, idBytes, kind := binary.NativeEndian.Uint32(notes), binary.NativeEndian.Uint32(notes[4:]), binary.NativeEndian.Uint32(notes[8:])
		id := noteHeader + aligned(nameBytes)
		end := id + aligned(idBytes)
		if end > uint64(len(notes)) {
			return ""
		}
		if kind == noteBuildID && string(notes[noteHeader:noteHeader+nameBytes]) == "GNU\x00" {
			return hex.EncodeToString(notes[id : id+uint64(idBytes)])
		}
		notes = notes[end:]
	}
	return ""
}
