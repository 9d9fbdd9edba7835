// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"testing"
	"time"
)

func TestARestGrowsWithTheBytesThatArrivedUpToAShareOfTheRing(t *testing.T) {
	ring := &Ring{size: 8 << 20}
	for _, test := range []struct {
		bytes uint64
		want  time.Duration
	}{
		{0, 4 * time.Millisecond},
		{700, 4 * time.Millisecond},
		{7_000, 10 * time.Millisecond},
		{500_000, 50 * time.Millisecond},
		{1 << 20, 4 * time.Millisecond},
	} {
		if got := ring.restAfter(test.bytes); got != test.want {
			t.Errorf("restAfter(%d) = %v, want %v", test.bytes, got, test.want)
		}
	}
}
