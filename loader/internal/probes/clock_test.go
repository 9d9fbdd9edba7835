// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"testing"
	"time"

	"whodunit/loader/internal/host"
)

// The wall clock may be set between a termination and the moment when its record is read.
func TestARecordHasTheOffsetOfTheClockFromWhenItWasMade(t *testing.T) {
	const before, after = 1_000_000_000_000_000_000, 1_000_003_600_000_000_000
	probes, ring := attached(t)
	for _, test := range []struct {
		name      string
		published time.Duration // before the termination
		want      int64
	}{
		{"as it was published last", 0, before},
		{"not known, as no loader has published it for long", time.Minute, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			probes.PublishClock(before, host.BoottimeNs()-uint64(test.published))
			pid := exitWith(t, 3)
			probes.PublishClock(after, host.BoottimeNs())
			if events := recordsOf(t, ring, ring.Acked(), pid); len(events) != 1 || events[0].ClockOffsetNs != test.want {
				t.Errorf("%+v", events)
			}
		})
	}
}

func TestTheSizesOfLRUsGrowWithTheProcessors(t *testing.T) {
	spec, err := loadBpf()
	if err != nil {
		t.Fatal(err)
	}
	before := spec.Maps[bpfMapTriggerThreads].MaxEntries
	if err := sizeByCPUs(spec); err != nil {
		t.Fatal(err)
	}
	if after := spec.Maps[bpfMapTriggerThreads].MaxEntries; after < before+lruBatch {
		t.Errorf("%d entries, before %d", after, before)
	}
}
