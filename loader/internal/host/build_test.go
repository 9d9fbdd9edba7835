// SPDX-License-Identifier: Apache-2.0

package host

import (
	"encoding/binary"
	"os"
	"regexp"
	"testing"
)

func note(name string, kind uint32, content string) []byte {
	raw := binary.NativeEndian.AppendUint32(nil, uint32(len(name)))
	raw = binary.NativeEndian.AppendUint32(raw, uint32(len(content)))
	raw = binary.NativeEndian.AppendUint32(raw, kind)
	for _, part := range []string{name, content} {
		raw = append(raw, part...)
		for len(raw)%noteAlign != 0 {
			raw = append(raw, 0)
		}
	}
	return raw
}

func TestTheBuildIDIsFoundInTheNotes(t *testing.T) {
	other, own := note("Xen\x00", 6, "linux"), note("GNU\x00", noteBuildID, "\x00\xff\x10")
	for _, test := range []struct {
		name  string
		notes []byte
		want  string
	}{
		{"alone", own, "00ff10"},
		{"after others", append(append(append([]byte{}, other...), note("GNU\x00", 1, "abcd")...), own...), "00ff10"},
		{"none", other, ""},
		{"nothing", nil, ""},
		{"cut", own[:len(own)-2], ""},
		{"a size beyond the end", []byte{4, 0, 0, 0, 255, 255, 255, 255, 3, 0, 0, 0, 'G', 'N', 'U', 0}, ""},
		{"a name beyond the end", []byte{255, 255, 255, 255, 255, 255, 255, 255, 3, 0, 0, 0}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := buildIDIn(test.notes); got != test.want {
				t.Errorf("%q, not %q", got, test.want)
			}
		})
	}
}

func TestThisKernelShowsItsBuild(t *testing.T) {
	if _, err := os.Stat(kernelNotes); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	if build := KernelBuild(); !regexp.MustCompile(`^\d+\.\d+\S* #.* [0-9a-f]{16,}$`).MatchString(build) {
		t.Error(build)
	}
}
