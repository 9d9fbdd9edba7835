// SPDX-License-Identifier: Apache-2.0

package log

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// Level says how important a message is. As a limit, it also admits what is more important.
type Level int

// The levels of OTEL_LOG_LEVEL. The loader has no messages of lower levels.
const (
	None Level = iota
	Error
	Warn
	Info
)

// priorities of syslog(3).
var priorities = map[Level]int{Error: 3, Warn: 4, Info: 6}

var names = map[Level]string{Error: "ERROR", Warn: "WARN", Info: "INFO"}

// Style says which messages are written, and what stands before each: in the journal its priority (sd-daemon(3)), else time and level. Twin
// of src/io/log-style.ts.
type Style struct {
	least          Level
	journal, dated bool
}

// CommandStyle is for a command that says something to the person who runs it: every message, without time and level.
func CommandStyle(getenv func(string) string, out *os.File) Style {
	return Style{least: Info, journal: isJournal(getenv("JOURNAL_STREAM"), out)}
}

// ServiceStyle is for a program that keeps running. problem says why the default level is used although another is set; "": it is not.
func ServiceStyle(getenv func(string) string, out *os.File) (style Style, problem string) {
	style = CommandStyle(getenv, out)
	style.dated = true
	style.least, problem = levelOf(getenv("OTEL_LOG_LEVEL"))
	return style, problem
}

// levelOf reads OTEL_LOG_LEVEL as src/config/log-level.ts does: an invalid value does not stop the program.
func levelOf(text string) (level Level, problem string) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "none":
		return None, ""
	case "error":
		return Error, ""
	case "warn":
		return Warn, ""
	case "", "info", "debug", "verbose", "all":
		return Info, ""
	default:
		return Info, fmt.Sprintf("OTEL_LOG_LEVEL is %q; allowed: none, error, warn, info, debug, verbose, all. Until it is corrected, it is info.", text)
	}
}

// isJournal says whether the file is the socket of the journal that systemd names by device and inode (systemd.exec(5), JOURNAL_STREAM).
func isJournal(named string, out *os.File) bool {
	var stat syscall.Stat_t
	if named == "" || syscall.Fstat(int(out.Fd()), &stat) != nil {
		return false
	}
	return named == fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}

func (s Style) head(level Level, now time.Time) string {
	switch {
	case s.journal:
		return fmt.Sprintf("<%d>", priorities[level])
	case s.dated:
		return now.UTC().Format("2006-01-02T15:04:05.000Z") + " " + names[level] + " "
	default:
		return ""
	}
}
