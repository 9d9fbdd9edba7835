// SPDX-License-Identifier: Apache-2.0

// Package log writes the loader's log: one line for each message.
package log

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// limitInterval is the least time between two messages of one kind.
const limitInterval = time.Minute

// Logger writes messages to one writer. Safe for concurrent use.
type Logger struct {
	out     io.Writer
	mu      sync.Mutex
	last    map[string]time.Time
	skipped map[string]int
}

// New returns a logger that writes to out and does not close it.
func New(out io.Writer) *Logger {
	return &Logger{out: out, last: map[string]time.Time{}, skipped: map[string]int{}}
}

// Printf writes one line, with the program's name before it. Errors of the writer are ignored.
func (l *Logger) Printf(format string, arguments ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.out, "whodunit-loader: "+format+"\n", arguments...)
}

// Limitf is Printf with a rate limit: at most one message of each kind in limitInterval. The next one has the number of those that were
// skipped. Use it for messages that a client can cause.
func (l *Logger) Limitf(kind, format string, arguments ...any) {
	skipped, due := l.due(kind, time.Now())
	if !due {
		return
	}
	if skipped > 0 {
		format += fmt.Sprintf(" (%d messages like this were skipped before)", skipped)
	}
	l.Printf(format, arguments...)
}

func (l *Logger) due(kind string, now time.Time) (skipped int, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.last[kind]) < limitInterval {
		l.skipped[kind]++
		return 0, false
	}
	skipped = l.skipped[kind]
	l.last[kind], l.skipped[kind] = now, 0
	return skipped, true
}
