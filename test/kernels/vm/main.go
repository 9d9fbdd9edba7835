// Command vm is the init of the kernel matrix's virtual machines, and all that runs there besides the programs under test. It starts
// the loader, is its consumer, lets the undertaker's cases happen one after the other, and prints what each side says. It decides
// nothing: that is done outside, by the code that compares on every other machine.
//
// Each line of its output is "@kind JSON":
//
//	@check   what `whodunit-loader check` prints
//	@wire    a line of the loader, as it came
//	@truth   what the undertaker says of a case
//	@failed  a case that could not happen, and why
//	@end     all cases were tried; how many
//
// In the root directory lie loader, undertaker, mortal and cases, a file with one name a line.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"whodunit/test/vminit"
)

const (
	socketPath = "/run/whodunit.sock"
	// settle is how long the wire must be silent before the machine is switched off.
	settle = 3 * time.Second
	// caseLongest ends a case that hangs: emulation is slow.
	caseLongest = 2 * time.Minute
)

var output sync.Mutex

// say prints one line in one write, so that no other line gets into it.
func say(kind string, text []byte) {
	output.Lock()
	defer output.Unlock()
	os.Stdout.Write(append(append([]byte("@"+kind+" "), bytes.TrimSpace(text)...), '\n'))
}

func sayJSON(kind string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	say(kind, text)
}

func main() {
	os.Setenv("UNDERTAKER_MORTAL", "/mortal")
	vminit.Run(conduct, func(err error) { sayJSON("failed", failure{Error: err.Error()}) })
}

type failure struct {
	Case  string `json:"case"`
	Error string `json:"error"`
}

func conduct() {
	checked, _ := exec.Command("/loader", "check").CombinedOutput()
	sayJSON("check", string(checked))
	// With all that must be asked for: so the verifier sees every line.
	loader := exec.Command("/loader", "run", "--socket", socketPath, "--thread-context", "1")
	var loaderSays bytes.Buffer
	loader.Stdout, loader.Stderr = &loaderSays, &loaderSays
	if err := loader.Start(); err != nil {
		sayJSON("failed", failure{Error: err.Error()})
		return
	}
	var lastLine atomic.Int64
	if err := consume(&lastLine); err != nil {
		loader.Process.Kill()
		loader.Wait()
		sayJSON("failed", failure{Error: fmt.Sprintf("%v; the loader says: %s", err, loaderSays.String())})
		return
	}
	names, err := os.ReadFile("/cases")
	if err != nil {
		sayJSON("failed", failure{Error: err.Error()})
		return
	}
	cases := strings.Fields(string(names))
	for _, name := range cases {
		letHappen(name)
	}
	for time.Since(time.Unix(0, lastLine.Load())) < settle {
		time.Sleep(settle / 10)
	}
	sayJSON("end", len(cases))
}

func letHappen(name string) {
	undertaker := exec.Command("/undertaker", name)
	var truth, trouble bytes.Buffer
	undertaker.Stdout, undertaker.Stderr = &truth, &trouble
	if err := undertaker.Start(); err != nil {
		sayJSON("failed", failure{name, err.Error()})
		return
	}
	longest := time.AfterFunc(caseLongest, func() { undertaker.Process.Signal(unix.SIGTERM) })
	err := undertaker.Wait()
	longest.Stop()
	if err != nil {
		sayJSON("failed", failure{name, fmt.Sprintf("%v: %s", err, trouble.String())})
		return
	}
	say("truth", truth.Bytes())
}
