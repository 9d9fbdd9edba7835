// Command undertaker runs programs that terminate in a known way, and reports the truth about each termination.
//
//	undertaker list          prints the names of the cases, except those of whole_machine.go
//	undertaker CASE          runs the case and prints one line of JSON (truth.go)
//	undertaker forks COUNT   starts COUNT processes that exit with code 0
//	undertaker docker        runs a Docker daemon for another test (world_docker.go)
//	undertaker systemd-alone runs a systemd for another test (world_systemd.go)
//
// The truth comes from wait4(2), from the arguments that it passed, from /proc of the zombie, and from the process that it ordered to
// send the signal: never from the code under test. The killer is a separate process (killer.go). The victims are ways of
// examples/mortal, whose path is in UNDERTAKER_MORTAL.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// caseLongest is the time after which a case fails.
const caseLongest = time.Minute

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "undertaker: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("a case is needed: undertaker list prints them")
	}
	switch args[0] {
	case "list":
		for _, c := range cases {
			fmt.Println(c.name)
		}
		return nil
	case roleKiller:
		return killer(args[1:])
	case roleInit:
		return namespaceInit()
	case roleSystemd:
		return becomeSystemd(args[1:])
	case roleRelay:
		return relay(args[1:])
	case "docker":
		return keepDocker()
	case "systemd-alone":
		return keepSystemd()
	case "forks":
		if len(args) != 2 {
			return fmt.Errorf("a count is needed: undertaker forks 100000")
		}
		count, err := strconv.Atoi(args[1])
		if err != nil {
			return fmt.Errorf("count %q: a number is needed", args[1])
		}
		return forks(count)
	}
	for _, c := range slices.Concat(cases, machineCases) {
		if c.name == args[0] {
			return runCase(c)
		}
	}
	return fmt.Errorf("no such case: %q (undertaker list prints them)", args[0])
}

func runCase(c deathCase) error {
	u, err := newUndertaker()
	if err != nil {
		return err
	}
	defer u.close()
	fail := func(why string) {
		fmt.Fprintf(os.Stderr, "undertaker: %s: %s\n", c.name, why)
		u.close()
		os.Exit(1)
	}
	time.AfterFunc(caseLongest, func() { fail("not finished after " + caseLongest.String()) })
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, syscall.SIGINT, syscall.SIGTERM)
	go func() { fail((<-interrupted).String()) }()
	if err := c.run(u); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	if len(u.deaths) == 0 {
		return fmt.Errorf("%s: no process terminated", c.name)
	}
	return json.NewEncoder(os.Stdout).Encode(truth{Case: c.name, Deaths: u.deaths, Discarded: u.discarded})
}
