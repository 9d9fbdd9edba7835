// SPDX-License-Identifier: Apache-2.0

// The loader's own log: lines on standard error. What clients can provoke is logged once a minute at most.
package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

const sometimesInterval = time.Minute

type logger struct {
	out     io.Writer
	mu      sync.Mutex
	last    map[string]time.Time
	skipped map[string]int
}

func newLogger(out io.Writer) *logger {
	return &logger{out: out, last: map[string]time.Time{}, skipped: map[string]int{}}
}

func (l *logger) printf(format string, arguments ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.out, "whodunit-loader: "+format+"\n", arguments...)
}

// sometimes prints the first of a kind, then one a minute with the number of those left out.
func (l *logger) sometimes(kind, format string, arguments ...any) {
	l.mu.Lock()
	if now := time.Now(); now.Sub(l.last[kind]) < sometimesInterval {
		l.skipped[kind]++
		l.mu.Unlock()
		return
	} else {
		l.last[kind] = now
	}
	more := l.skipped[kind]
	l.skipped[kind] = 0
	l.mu.Unlock()
	if more > 0 {
		format += fmt.Sprintf(" (and %d more like it in the last minute)", more)
	}
	l.printf(format, arguments...)
}
