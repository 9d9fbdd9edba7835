// SPDX-License-Identifier: Apache-2.0

// Package log writes the loader's own log: one line for each message.
package log

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// limitInterval separates two messages of one kind.
const limitInterval = time.Minute

// Logger is safe for concurrent use.
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

// Printf writes one line.
func (l *Logger) Printf(format string, arguments ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.out, "whodunit-loader: "+format+"\n", arguments...)
}

// Limitf is Printf, rate-limited: at most one message of each kind in limitInterval, with the number of those skipped before it.
// Messages that a client can provoke go through it.
func (l *Logger) Limitf(kind, format string, arguments ...any) {
	skipped, due := l.due(kind, time.Now())
	if !due {
		return
	}
	if skipped > 0 {
		format += fmt.Sprintf(" (and %d more like it in the last minute)", skipped)
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
