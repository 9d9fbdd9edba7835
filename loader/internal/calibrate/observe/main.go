// SPDX-License-Identifier: Apache-2.0

// Command observe prints what is found of the kernel's types by observation, as a line of JSON, for tests. `whodunit-loader calibrate` finds the
// same, verifies it, and keeps it.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"whodunit/loader/internal/calibrate"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "observe:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) > 0 && arguments[0] == calibrate.Command { // startChild
		child := flag.NewFlagSet(calibrate.Command, flag.ContinueOnError)
		number := child.Int("number", 0, "")
		executions := child.Int("executions", calibrate.Unprepared, "")
		if err := child.Parse(arguments[1:]); err != nil {
			return err
		}
		return calibrate.Run(*number, *executions)
	}
	found, err := calibrate.Find()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(struct {
		Offsets calibrate.Offsets `json:"offsets"`
		Missing []string          `json:"missing"`
	}{found.Offsets, found.Missing()})
}
