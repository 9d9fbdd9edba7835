// SPDX-License-Identifier: Apache-2.0

package log

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

func env(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

// journalOf returns the value of JOURNAL_STREAM that names the file.
func journalOf(t *testing.T, file *os.File) string {
	t.Helper()
	var stat syscall.Stat_t
	if err := syscall.Fstat(int(file.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}

func TestTheLevelIsTheNameOfTheSpecificationInAnyCase(t *testing.T) {
	for text, want := range map[string]Level{"": Info, "none": None, "NONE": None, "Error": Error, "warn": Warn, " info ": Info, "debug": Info, "verbose": Info, "ALL": Info} {
		if level, problem := levelOf(text); level != want || problem != "" {
			t.Errorf("%q: level %d, %q", text, level, problem)
		}
	}
	level, problem := levelOf("loud\n")
	if level != Info || strings.Count(problem, "\n") > 0 || !strings.HasPrefix(problem, `OTEL_LOG_LEVEL is "loud\n"; allowed: none, error,`) {
		t.Errorf("level %d, %q", level, problem)
	}
}

func TestMessagesHaveTimeAndLevelOrThePriorityOfTheJournal(t *testing.T) {
	const dated = `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO whodunit-loader: one
\S+Z WARN whodunit-loader: two
\S+Z WARN whodunit-loader: three
\S+Z ERROR whodunit-loader: four
$`
	const inJournal = "^<6>whodunit-loader: one\n<4>whodunit-loader: two\n<4>whodunit-loader: three\n<3>whodunit-loader: four\n$"
	for _, test := range []struct {
		name, level string
		stream      func(string) string
		want        string
	}{
		{"no journal", "", func(string) string { return "" }, dated},
		{"the journal", "", func(own string) string { return own }, inJournal},
		{"another file in place of the journal", "", func(own string) string { return "1" + own }, dated},
		{"warnings only", "warn", func(own string) string { return own }, strings.Replace(inJournal, "<6>whodunit-loader: one\n", "", 1)},
		{"nothing but why it ends", "none", func(own string) string { return own }, "^<3>whodunit-loader: four\n$"},
	} {
		path := filepath.Join(t.TempDir(), "stderr")
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		style, problem := ServiceStyle(env(map[string]string{"JOURNAL_STREAM": test.stream(journalOf(t, file)), "OTEL_LOG_LEVEL": test.level}), file)
		if problem != "" {
			t.Errorf("%s: %s", test.name, problem)
		}
		logger := Styled(file, style)
		logger.Printf("one")
		logger.Warnf("two")
		logger.Limitf("kind", "three")
		logger.Failuref("four")
		if written, _ := os.ReadFile(path); !regexp.MustCompile(test.want).Match(written) {
			t.Errorf("%s: %q", test.name, written)
		}
		file.Close()
	}
}

func TestACommandSaysItWithoutTimeAndWhateverTheLevel(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var out strings.Builder
	Styled(&out, CommandStyle(env(map[string]string{"OTEL_LOG_LEVEL": "none"}), file)).Printf("one")
	Styled(&out, CommandStyle(env(map[string]string{"JOURNAL_STREAM": journalOf(t, file)}), file)).Failuref("two")
	if out.String() != "whodunit-loader: one\n<3>whodunit-loader: two\n" {
		t.Errorf("%q", out.String())
	}
}
