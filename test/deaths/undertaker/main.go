// Command undertaker lets real programs die and reports the truth about it, from the outside.
//
//	undertaker list          the names of the cases, but for those of whole_machine.go
//	undertaker CASE          lets it happen and prints one line of JSON (truth.go)
//	undertaker forks COUNT   lets COUNT processes exit with code 0
//	undertaker docker        keeps a Docker daemon for another test (world_docker.go)
//
// What it says comes from wait4(2), from the arguments that it gave itself, from /proc of the zombie, and from which
// process it let do the killing: never from the code under test. The killer is a process of its own (killer.go), the
// victims are ways of examples/mortal, whose path is in UNDERTAKER_MORTAL.
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

// caseLongest ends a case that hangs.
const caseLongest = time.Minute

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "undertaker: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("a case is needed: undertaker list shows them")
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
			return tell(c)
		}
	}
	return fmt.Errorf("no such case: %q (undertaker list shows them)", args[0])
}

func tell(c deathCase) error {
	u, err := newUndertaker()
	if err != nil {
		return err
	}
	defer u.close()
	giveUp := func(why string) {
		fmt.Fprintf(os.Stderr, "undertaker: %s: %s\n", c.name, why)
		u.close()
		os.Exit(1)
	}
	time.AfterFunc(caseLongest, func() { giveUp("not over after " + caseLongest.String()) })
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, syscall.SIGINT, syscall.SIGTERM)
	go func() { giveUp((<-interrupted).String()) }()
	if err := c.happen(u); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	if len(u.deaths) == 0 {
		return fmt.Errorf("%s: no process terminated", c.name)
	}
	return json.NewEncoder(os.Stdout).Encode(truth{Case: c.name, Deaths: u.deaths, Discarded: u.discarded})
}
