// SPDX-License-Identifier: Apache-2.0

package helper

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/crash"
)

func setPC(registers *abi.ThreadRegisters, pc uint64) {
	if runtime.GOARCH == "arm64" {
		registers.Words[32] = pc
		return
	}
	registers.Words[16] = pc
}

// leafFirst returns a path as the probes copy it.
func leafFirst(path string) string {
	names := strings.Split(strings.TrimPrefix(path, "/"), "/")
	slices.Reverse(names)
	return strings.Join(names, "\x00") + "\x00"
}

// mapOwnText adds the mapping of this process that holds the address.
func mapOwnText(t *testing.T, slot *abi.CrashSlot, pc uint64) {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	own := mapped(t, path)
	mapping := abi.CrashMapping{
		Flags: vmExec, Inode: own.inode, Device: own.device, Magic: own.magic, FileBytes: own.bytes, CtimeS: own.ctimeS,
		PathBytes: uint32(copy(crash.BytesOf(slot.Paths[:]), leafFirst(own.path))),
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x r-xp %x", &mapping.Start, &mapping.End, &mapping.Offset); err == nil && mapping.Start <= pc && pc < mapping.End {
			slot.Mappings[abi.MappingPlaceMAPPING_OF_MODULES], slot.ModulesCount = mapping, 1
			return
		}
	}
	t.Fatalf("no mapping holds %#x", pc)
}
