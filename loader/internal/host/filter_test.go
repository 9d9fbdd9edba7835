// SPDX-License-Identifier: Apache-2.0

package host

import (
	"slices"
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"
)

// On a processor where the library does not know a name, the loader would not start.
func TestTheFilterNamesSystemCallsOfEveryProcessor(t *testing.T) {
	names := slices.Concat(served, starting)
	for _, call := range slices.Concat(servedIf(), readingIf(), startingIf()) {
		if call.Name != "arch_prctl" { // of amd64 only
			names = append(names, call.Name)
		}
	}
	for _, processor := range []string{"amd64", "arm64"} {
		info, err := arch.GetInfo(processor)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if _, known := info.SyscallNames[name]; !known {
				t.Errorf("%s: unknown on %s", name, processor)
			}
		}
	}
}
