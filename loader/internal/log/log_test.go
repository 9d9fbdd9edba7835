// SPDX-License-Identifier: Apache-2.0

package log

import (
	"io"
	"strings"
	"testing"
	"time"
)

func TestARateLimitedMessageIsDueOncePerIntervalWithTheNumberSkipped(t *testing.T) {
	l, start := New(io.Discard), time.Now()
	for _, step := range []struct {
		kind    string
		after   time.Duration
		skipped int
		due     bool
	}{
		{"a", 0, 0, true}, {"a", 1, 0, false}, {"b", 2, 0, true}, {"a", limitInterval - 1, 0, false}, {"a", limitInterval, 2, true}, {"a", 2 * limitInterval, 0, true},
	} {
		if skipped, due := l.due(step.kind, start.Add(step.after)); skipped != step.skipped || due != step.due {
			t.Errorf("%s after %v: %d skipped, due %v", step.kind, step.after, skipped, due)
		}
	}
}

func TestLimitfWritesTheFirstMessageOfAKind(t *testing.T) {
	var out strings.Builder
	l := New(&out)
	l.Limitf("kind", "refused %d", 7)
	l.Limitf("kind", "refused %d", 8)
	if out.String() != "whodunit-loader: refused 7\n" {
		t.Errorf("%q", out.String())
	}
}
