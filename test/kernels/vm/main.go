// Command vm is the init of the virtual machines of the kernel matrix. It starts the loader, connects as its consumer, runs the cases of the
// undertaker and the programs that crash one after the other, and prints the output of all. The host checks the result, with the code of test/deaths.
//
// Each line of its output is "@kind JSON":
//
//	@runs    what the machine runs
//	@check   what `whodunit-loader check` prints
//	@calibrated what `whodunit-loader calibrate` writes, each time, on a kernel without BTF (calibrate.go)
//	@described where the kernel's own types have what was found, if it has any
//	@wire    a line of the loader, unchanged
//	@confined a start of the loader under an AppArmor profile or lockdown, unless there are no cases (confined.go)
//	@truth   the output of the undertaker for a case
//	@crashed the processes of a program that crashed (crashes.go)
//	@storm   what became of the processes of a storm, with WHODUNIT_STORMS=1 (storm.go)
//	@failed  a case that could not run, and why
//	@end     the number of cases, after the last one
//
// The root directory has loader, undertaker, mortal, and cases: a file with one name per line; few-cases, which WHODUNIT_CASES=few on the kernel's
// command line selects; crashes.json and the programs that it names. WHODUNIT_HIDE_BTF=1 hides the kernel's types; WHODUNIT_CALIBRATIONS is how often they are
// found.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"whodunit/test/vminit"
)

const (
	socketPath = "/run/whodunit.sock"
	// settle is how long the wire must be silent before the machine is switched off.
	settle = 3 * time.Second
	// caseLongest is the time after which a case fails. Emulation is slow.
	caseLongest = 2 * time.Minute
	kernelBTF   = "/sys/kernel/btf/vmlinux"
)

var output sync.Mutex

// emit prints one line with a single write, so that lines do not mix.
func emit(kind string, text []byte) {
	output.Lock()
	defer output.Unlock()
	os.Stdout.Write(append(append([]byte("@"+kind+" "), bytes.TrimSpace(text)...), '\n'))
}

func emitJSON(kind string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	emit(kind, text)
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == roleConfined {
		fmt.Fprintln(os.Stderr, execConfined(os.Args[2:])) // It returns only if it fails.
		os.Exit(1)
	}
	os.Setenv("UNDERTAKER_MORTAL", "/mortal")
	vminit.Run(runCases, func(err error) { emitJSON("failed", failure{Error: err.Error()}) })
}

type failure struct {
	Case  string `json:"case"`
	Error string `json:"error"`
}

// runs is what the machine runs.
type runs struct {
	Cases    []string `json:"cases"`
	Times    int      `json:"times"`    // how often each program of crashes.json crashes
	Confines bool     `json:"confines"` // whether the loader is started under AppArmor and lockdown
	Storms   bool     `json:"storms"`

	crashes     []crashing
	isDescribed bool      // by BTF: else the capabilities of a deployment do not suffice
	hidden      *btf.Spec // the types that were hidden
}

// findRuns hides the kernel's BTF if it is to be hidden.
func findRuns() (r runs, err error) {
	if os.Getenv("WHODUNIT_HIDE_BTF") != "" {
		if r.hidden, err = btf.LoadSpec(kernelBTF); err != nil {
			return r, err
		}
		if err := unix.Mount("tmpfs", filepath.Dir(kernelBTF), "tmpfs", 0, ""); err != nil {
			return r, err
		}
	}
	_, err = os.Stat(kernelBTF)
	r.isDescribed = err == nil
	list, isFew := "/cases", os.Getenv("WHODUNIT_CASES") == "few"
	if isFew {
		list = "/few-cases"
	}
	names, err := os.ReadFile(list)
	if err != nil {
		return r, err
	}
	r.Cases = strings.Fields(string(names))
	r.Storms = os.Getenv("WHODUNIT_STORMS") != ""
	r.Confines = r.isDescribed && len(r.Cases) > 0 && !isFew
	if !isFew {
		r.Times, r.crashes, err = readCrashes()
	}
	return r, err
}

func runCases() {
	if err := runAll(); err != nil {
		emitJSON("failed", failure{Error: err.Error()})
	}
}

// runAll returns what keeps the machine from running anything more.
func runAll() error {
	r, err := findRuns()
	if err != nil {
		return err
	}
	emitJSON("runs", r)
	checked, _ := exec.Command("/loader", "check").CombinedOutput()
	emitJSON("check", string(checked))
	if !r.isDescribed {
		if err := calibrateRepeatedly(r.hidden); err != nil {
			return err
		}
		r.hidden = nil
	}
	if r.Confines {
		if err := startUnderProfiles(); err != nil {
			emitJSON("failed", failure{Error: fmt.Sprintf("start the loader under AppArmor: %v", err)})
		}
	}
	// With the optional features, so that the verifier checks all code.
	loader := exec.Command("/loader", "run", "--socket", socketPath, "--thread-context", "1")
	var loaderOutput bytes.Buffer
	loader.Stdout, loader.Stderr = &loaderOutput, &loaderOutput
	if err := loader.Start(); err != nil {
		return err
	}
	var lines consumed
	if err := lines.consume(); err != nil {
		loader.Process.Kill()
		loader.Wait()
		return fmt.Errorf("%w; output of the loader: %s", err, loaderOutput.String())
	}
	for _, name := range r.Cases {
		runCase(name)
	}
	for i := range r.crashes {
		r.crashes[i].run(&lines, r.Times, firstUser+uint32(i)*usersEach)
	}
	for time.Since(time.Unix(0, lines.last.Load())) < settle {
		time.Sleep(settle / 10)
	}
	if r.Storms {
		if err := runStorms(loader); err != nil {
			return fmt.Errorf("run the storms: %w", err)
		}
	}
	if r.Confines {
		if err := startUnderLockdown(); err != nil {
			emitJSON("failed", failure{Error: fmt.Sprintf("start the loader under lockdown: %v", err)})
		}
	}
	emitJSON("end", len(r.Cases))
	return nil
}

func runCase(name string) {
	undertaker := exec.Command("/undertaker", name)
	var truth, trouble bytes.Buffer
	undertaker.Stdout, undertaker.Stderr = &truth, &trouble
	if err := undertaker.Start(); err != nil {
		emitJSON("failed", failure{name, err.Error()})
		return
	}
	longest := time.AfterFunc(caseLongest, func() { undertaker.Process.Signal(unix.SIGTERM) })
	err := undertaker.Wait()
	longest.Stop()
	if err != nil {
		emitJSON("failed", failure{name, fmt.Sprintf("%v: %s", err, trouble.String())})
		return
	}
	emit("truth", truth.Bytes())
}
