// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestTheCommandLine(t *testing.T) {
	for _, test := range []struct {
		name, line, environment string
		want                    string // in the error; "": none
	}{
		{"defaults", "run", "", ""},
		{"everything", "run --socket /s --pin-dir /p --ring-bytes 65536 --socket-group 7 --thread-context 1 --unload-on-exit", "", ""},
		{"a switch that is neither on nor off", "run", "WHODUNIT_THREAD_CONTEXT=often", `(WHODUNIT_THREAD_CONTEXT) is "often"`},
		{"nothing", "", "", "a command is missing"},
		{"another command", "walk", "", `unknown command "walk"`},
		{"another flag", "run --walk", "", "not defined: -walk"},
		{"an argument", "run fast", "", `takes no argument "fast"`},
		{"a ring that is no power of two", "run --ring-bytes 65537", "", "must be a power of two from 65536 to 1073741824"},
		{"a ring that is too small", "run", "WHODUNIT_RING_BYTES=4096", "must be a power of two"},
		{"a ring that is no number", "run --ring-bytes 8MiB", "", `is "8MiB"`},
		{"a group that is not there", "run --socket-group nobody-has-this", "", "must be a group's name or number"},
		{"a socket path that is too long", "run --socket /" + strings.Repeat("x", 108), "", "107 at most"},
		{"health", "health --socket /s", "", ""},
		{"a flag of run for health", "health --pin-dir /p", "", "not defined: -pin-dir"},
		{"run's flag for check", "check --socket /s", "", "not defined: -socket"},
	} {
		t.Run(test.name, func(t *testing.T) {
			key, value, _ := strings.Cut(test.environment, "=")
			_, err := parse(strings.Fields(test.line), func(name string) string {
				if name == key {
					return value
				}
				return ""
			})
			var usage *usageError
			switch {
			case test.want == "" && err != nil:
				t.Fatal(err)
			case test.want != "" && (!errors.As(err, &usage) || usage.code != exitConfig || !strings.Contains(err.Error(), test.want)):
				t.Fatalf("%v, want %q and exit code %d", err, test.want, exitConfig)
			}
		})
	}
}

func TestTheEnvironmentGivesTheDefaultsAndFlagsWin(t *testing.T) {
	environment := map[string]string{"WHODUNIT_SOCKET": "/env.sock", "WHODUNIT_PIN_DIR": "/sys/fs/bpf/env", "WHODUNIT_RING_BYTES": "131072", "WHODUNIT_SOCKET_GROUP": "5", "WHODUNIT_SCOPE": "/env", "WHODUNIT_THREAD_CONTEXT": "1"}
	got, err := parse([]string{"run", "--socket", "/flag.sock"}, func(name string) string { return environment[name] })
	want := config{command: "run", socket: "/flag.sock", pinDirectory: "/sys/fs/bpf/env", scope: "/env", ringBytes: 131072, socketGID: 5, threadContext: true}
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestHelpAndVersion(t *testing.T) {
	var out bytes.Buffer
	if err := dispatch([]string{"--help"}, os.Getenv, &out); err != nil || !strings.Contains(out.String(), "--socket-group") {
		t.Errorf("%v: %s", err, out.String())
	}
	out.Reset()
	if err := dispatch([]string{"--version"}, os.Getenv, &out); err != nil || out.String() != "whodunit-loader "+version+"\n" {
		t.Errorf("%v: %s", err, out.String())
	}
}

func TestTheVersionIsThatOfThePackage(t *testing.T) {
	raw, err := os.ReadFile("../package.json")
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct{ Version string }
	if err := json.Unmarshal(raw, &manifest); err != nil || manifest.Version != version {
		t.Errorf("package.json has %q, main.go %q; %v", manifest.Version, version, err)
	}
}

func TestKernelSymbols(t *testing.T) {
	table := "0000 A percpu\nffff0010 T first\nffff0018 t __pfx_second\nffff0020 t second.isra.0\nffff0030 d data\nffff1000 W third\t[module]\nfffe0000 t earlier\t[module]\n0000 T hidden\n"
	symbols, err := newKernelSymbols(strings.NewReader(table))
	if err != nil {
		t.Fatal(err)
	}
	addresses := []uint64{0xffff000f, 0xffff0010, 0xffff001f, 0xffff0020, 0xffff0fff, 0xffff1000, 0xffff1000 + functionBytesMax + 1, 0xfffe0001, 1}
	want := []string{"earlier", "first", "first", "second", "second", "third", "", "earlier", ""}
	for range 2 { // The second time, nothing is read.
		if got := symbols.names(nil, addresses); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		symbols.table = strings.NewReader("")
	}
	if _, err := newKernelSymbols(strings.NewReader("0000000000000000 T hidden\n")); err == nil || !strings.Contains(err.Error(), "CAP_SYSLOG") {
		t.Errorf("hidden addresses: %v", err)
	}
	if got := (*kernelSymbols)(nil).names(nil, []uint64{1}); !slices.Equal(got, []string{""}) {
		t.Errorf("no table: %q", got)
	}
}
