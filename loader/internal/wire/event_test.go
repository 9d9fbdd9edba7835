// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"testing"

	"whodunit/loader/internal/record"
	"whodunit/loader/internal/record/recordtest"
)

// Any bytes are decoded or rejected: a reader that was overtaken may read any bytes from the ring.
func FuzzRecordToLine(f *testing.F) {
	whole := recordtest.Whole()
	f.Add(whole)
	for cut := range len(whole) {
		if cut%97 == 0 {
			f.Add(whole[:cut])
		}
	}
	decoder := record.NewDecoder(record.Machine{PageBytes: 4096, Symbols: recordtest.Symbols{1: "first"}, EnvironmentKeys: recordtest.EnvironmentKeys()})
	f.Fuzz(func(t *testing.T, data []byte) {
		event, err := decoder.Decode(data)
		if err != nil {
			return
		}
		line, err := appendDeath(nil, event)
		if err != nil {
			return // The line is longer than the limit.
		}
		if want, err := EncodeLine("death", event); err != nil || !bytes.Equal(line, want) {
			t.Errorf("%v: wrote\n%swant\n%s", err, line, want)
		}
	})
}

// It measures decoding and encoding, without the ring and the socket.
func BenchmarkRecordToLine(b *testing.B) {
	decoder := record.NewDecoder(record.Machine{PageBytes: 4096, Symbols: recordtest.Symbols{1: "first"}, EnvironmentKeys: recordtest.EnvironmentKeys()})
	raw, line := recordtest.Whole(), make([]byte, 0, LineBytesMax)
	b.ReportAllocs()
	for b.Loop() {
		event, err := decoder.Decode(raw)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := AppendEvent(line, event); err != nil {
			b.Fatal(err)
		}
	}
}

func TestATerminationIsDecodedAndWrittenWithoutAllocation(t *testing.T) {
	decoder := record.NewDecoder(record.Machine{PageBytes: 4096, Symbols: recordtest.Symbols{1: "first"}, EnvironmentKeys: recordtest.EnvironmentKeys()})
	raw, line := recordtest.Whole(), make([]byte, 0, LineBytesMax)
	allocations := testing.AllocsPerRun(100, func() {
		event, err := decoder.Decode(raw)
		if err == nil {
			_, err = AppendEvent(line, event)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations for one termination", allocations)
	}
}
