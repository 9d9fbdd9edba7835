// SPDX-License-Identifier: Apache-2.0

package host

import (
	"slices"
	"strings"
	"testing"
)

func TestNamesFindsTheFunctionOfEachAddress(t *testing.T) {
	table := "0000 A percpu\nffff0010 T first\nffff0018 t __pfx_second\nffff0020 t second.isra.0\nffff0030 d data\nffff1000 W third\t[module]\nfffe0000 t earlier\t[module]\n0000 T hidden\n"
	symbols, err := newSymbols(strings.NewReader(table))
	if err != nil {
		t.Fatal(err)
	}
	addresses := []uint64{0xffff000f, 0xffff0010, 0xffff001f, 0xffff0020, 0xffff0fff, 0xffff1000, 0xffff1000 + functionBytesMax + 1, 0xfffe0001, 1}
	want := []string{"earlier", "first", "first", "second", "second", "third", "", "earlier", ""}
	for range 2 { // The second time, the table is not read again.
		if got := symbols.Names(nil, addresses); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		symbols.table = strings.NewReader("")
	}
	if _, err := newSymbols(strings.NewReader("0000000000000000 T hidden\n")); err == nil || !strings.Contains(err.Error(), "CAP_SYSLOG") {
		t.Errorf("hidden addresses: %v", err)
	}
	if got := (*Symbols)(nil).Names(nil, []uint64{1}); !slices.Equal(got, []string{""}) {
		t.Errorf("no table: %q", got)
	}
}
