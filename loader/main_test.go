// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"whodunit/loader/internal/exitcode"
	"whodunit/loader/internal/probes"
)

func TestParseOfTheCommandLine(t *testing.T) {
	for _, test := range []struct {
		name, line, environment string
		want                    string // in the error; "": none
	}{
		{"defaults", "run", "", ""},
		{"every flag", "run --socket /s --pin-dir /p --btf /b --ring-bytes 65536 --socket-group 7 --socket-user 8 --thread-context 1 --unload-on-exit", "", ""},
		{"a boolean that is neither 1 nor 0", "run", "WHODUNIT_THREAD_CONTEXT=often", `(WHODUNIT_THREAD_CONTEXT) is "often"`},
		{"no command", "", "", "a command is missing"},
		{"an unknown command", "walk", "", `unknown command "walk"`},
		{"an unknown flag", "run --walk", "", "not defined: -walk"},
		{"an argument", "run fast", "", `accepts no argument, but has "fast"`},
		{"a ring size that is no power of two", "run --ring-bytes 65537", "", "must be a power of two from 65536 to 1073741824"},
		{"a ring size that is too small", "run", "WHODUNIT_RING_BYTES=4096", "must be a power of two"},
		{"a ring size that is no number", "run --ring-bytes 8MiB", "", `is "8MiB"`},
		{"a group that does not exist", "run --socket-group no-such-group", "", "must be a group's name or number"},
		{"a user who does not exist", "run", "WHODUNIT_SOCKET_USER=no-such-user", `(WHODUNIT_SOCKET_USER) is "no-such-user"; it must be a user's name or number`},
		{"a socket path that is too long", "run --socket /" + strings.Repeat("x", 108), "", "at most 107"},
		{"health", "health --socket /s", "", ""},
		{"health of the service", "health --address 127.0.0.1:9465", "", ""},
		{"health of the service by its setting", "health --service", "WHODUNIT_HEALTH_ADDR=off", ""},
		{"a flag of health for run", "run --address :1", "", "not defined: -address"},
		{"a flag of run for health", "health --pin-dir /p", "", "not defined: -pin-dir"},
		{"a flag of run for check", "check --socket /s", "", "not defined: -socket"},
		{"calibrate", "calibrate --calibration /c --btf /b", "", ""},
		{"a flag of run for calibrate", "calibrate --pin-dir /p", "", "not defined: -pin-dir"},
	} {
		t.Run(test.name, func(t *testing.T) {
			key, value, _ := strings.Cut(test.environment, "=")
			_, err := parse(strings.Fields(test.line), func(name string) string {
				if name == key {
					return value
				}
				return ""
			})
			switch {
			case test.want == "" && err != nil:
				t.Fatal(err)
			case test.want != "" && (exitcode.Of(err) != exitcode.Config || !strings.Contains(err.Error(), test.want)):
				t.Fatalf("%v, want %q and exit code %d", err, test.want, exitcode.Config)
			}
		})
	}
}

func TestTheEnvironmentSetsTheDefaultsAndFlagsOverrideIt(t *testing.T) {
	environment := map[string]string{"WHODUNIT_SOCKET": "/env.sock", "WHODUNIT_PIN_DIR": "/sys/fs/bpf/env", "WHODUNIT_RING_BYTES": "131072", "WHODUNIT_SOCKET_GROUP": "5", "WHODUNIT_SOCKET_USER": "6", "WHODUNIT_SCOPE": "/env", "WHODUNIT_THREAD_CONTEXT": "1", "WHODUNIT_STACK": "0", "WHODUNIT_BTF": "/b", "WHODUNIT_CALIBRATION": "/c"}
	got, err := parse([]string{"run", "--socket", "/flag.sock"}, func(name string) string { return environment[name] })
	want := config{command: "run", socket: "/flag.sock", pinDirectory: "/sys/fs/bpf/env", btf: "/b", calibration: "/c", scope: "/env", ringBytes: 131072, socketGID: 5, socketUID: 6, threadContext: true, stacks: probes.StacksOff}
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestHealthOfTheServiceFollowsItsAddress(t *testing.T) {
	for _, test := range []struct{ line, variable, want string }{
		{"health --service", "", "127.0.0.1:9465"},
		{"health --service", ":9000", ":9000"},
		{"health --service", "off", "off"},
		{"health --address h:1", ":9000", "h:1"},
		{"health", ":9000", ""},
	} {
		got, err := parse(strings.Fields(test.line), func(name string) string {
			return map[string]string{"WHODUNIT_HEALTH_ADDR": test.variable}[name]
		})
		if err != nil || got.address != test.want {
			t.Errorf("%s with %q: %q, %v; want %q", test.line, test.variable, got.address, err, test.want)
		}
	}
	if err := dispatch([]string{"health", "--address", "off"}, os.Getenv, &bytes.Buffer{}); err != nil {
		t.Errorf("off: %v", err)
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

func TestTheVersionEqualsThatOfThePackage(t *testing.T) {
	raw, err := os.ReadFile("../package.json")
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct{ Version string }
	if err := json.Unmarshal(raw, &manifest); err != nil || manifest.Version != version {
		t.Errorf("package.json has %q, main.go %q; %v", manifest.Version, version, err)
	}
}

// privileged skips, with a message, where the probes cannot be loaded; with CI=true that is a failure.
func privileged(t *testing.T) {
	t.Helper()
	err := probes.Require()
	if err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("with CI=true the real probes must be tested: %v", err)
	}
	t.Skipf("SKIPPED, the real probes are not tested: %v", err)
}

// It runs the whole program, in a mount namespace without /sys/kernel/btf.
func TestCheckSucceedsOnAKernelWithoutBTFAndNamesWhatIsMissing(t *testing.T) {
	privileged(t)
	loader := build(t)
	hidden := exec.Command("unshare", "--mount", "sh", "-c", "mount -t tmpfs none /sys/kernel/btf && exec "+loader+" check")
	out, err := hidden.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "found by observation") || !strings.Contains(string(out), "paths of executables") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestAScopeIsRefusedOnAKernelWithoutBTF(t *testing.T) {
	privileged(t)
	loader := build(t)
	hidden := exec.Command("unshare", "--mount", "sh", "-c", "mount -t tmpfs none /sys/kernel/btf && exec "+loader+" run --scope /init.scope --socket "+filepath.Join(t.TempDir(), "s"))
	out, err := hidden.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() == 0 || !strings.Contains(string(out), "scope") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestCheckSucceedsOnThisKernelAndHasARowForEachProbe(t *testing.T) {
	privileged(t)
	var out bytes.Buffer
	if err := check(&out, config{pinDirectory: filepath.Join(probes.DefaultPinDirectory, "test-none"), output: "text"}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, trial := range probes.TryHooks(probes.Types{}) {
		if !strings.Contains(out.String(), "probe "+trial.Name) {
			t.Errorf("no row for %s:\n%s", trial.Name, out.String())
		}
	}
	out.Reset()
	if err := check(&out, config{pinDirectory: filepath.Join(probes.DefaultPinDirectory, "test-none"), output: "json"}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	var rows []struct{ Level, What string }
	if err := json.Unmarshal(out.Bytes(), &rows); err != nil || len(rows) == 0 || rows[0].What != "kernel" || rows[0].Level != "ok" {
		t.Errorf("%v: %+v", err, rows)
	}
}

func TestRunRefusesABuildWithCgo(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "loader")
	command := exec.Command("go", "build", "-o", binary, ".")
	command.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(binary, "run", "--socket", filepath.Join(t.TempDir(), "s")).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitcode.Unavailable || !strings.Contains(string(out), "CGO_ENABLED=0") {
		t.Errorf("%v\n%s", err, out)
	}
}
