// SPDX-License-Identifier: Apache-2.0

// Package log writes the loader's log: one line for each message.
package log

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Prefix begins each message.
const Prefix = "whodunit-loader: "

// limitInterval is the least time between two messages of one kind.
const limitInterval = time.Minute

// Logger writes messages to one writer. Safe for concurrent use.
type Logger struct {
	out     io.Writer
	style   Style
	mu      sync.Mutex
	last    map[string]time.Time
	skipped map[string]int
}

// New returns a logger that writes every message to out, and does not close it.
func New(out io.Writer) *Logger {
	return Styled(out, Style{least: Info})
}

// Styled returns a logger that writes to out what the style has written.
func Styled(out io.Writer, style Style) *Logger {
	return &Logger{out: out, style: style, last: map[string]time.Time{}, skipped: map[string]int{}}
}

// Printf writes one line of level Info, with the program's name before it. Errors of the writer are ignored.
func (l *Logger) Printf(format string, arguments ...any) {
	l.printf(Info, format, arguments...)
}

// Warnf is Printf with level Warn.
func (l *Logger) Warnf(format string, arguments ...any) {
	l.printf(Warn, format, arguments...)
}

// Failuref writes why the program ends, whatever the level.
func (l *Logger) Failuref(format string, arguments ...any) {
	l.write(Error, format, arguments...)
}

// Limitf is Warnf with a rate limit: at most one message of each kind in limitInterval. The next one has the number of those that were
// skipped. Use it for messages that a client can cause.
func (l *Logger) Limitf(kind, format string, arguments ...any) {
	skipped, due := l.due(kind, time.Now())
	if !due {
		return
	}
	if skipped > 0 {
		format += fmt.Sprintf(" (%d messages like this were skipped before)", skipped)
	}
	l.Warnf(format, arguments...)
}

func (l *Logger) printf(level Level, format string, arguments ...any) {
	if level <= l.style.least {
		l.write(level, format, arguments...)
	}
}

func (l *Logger) write(level Level, format string, arguments ...any) {
	line := l.style.head(level, time.Now()) + Prefix + fmt.Sprintf(format, arguments...) + "\n"
	l.mu.Lock()
	defer l.mu.Unlock()
	io.WriteString(l.out, line)
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
