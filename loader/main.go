// SPDX-License-Identifier: Apache-2.0

// whodunit-loader attaches the probes and hands what they see to the service, over a Unix socket.
//
// This file: the command line, signals, the exit code. It is the only one that ends the process.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"os/user"
	"strconv"
	"syscall"
)

//go:generate npm --prefix .. run generate

// version is the loader's; keep it that of package.json (a test compares).
const version = "0.1.0"

// Exit codes: sysexits.h where it has one.
const (
	exitFailure     = 1
	exitUnavailable = 69 // EX_UNAVAILABLE: the kernel, or what is there already, does not allow it
	exitPermission  = 77 // EX_NOPERM
	exitConfig      = 78 // EX_CONFIG
)

// usageError is an error whose text says the remedy, with its exit code.
type usageError struct {
	code int
	text string
}

func (e *usageError) Error() string { return e.text }

const usage = `whodunit-loader attaches probes to the kernel and serves what they see on a Unix socket.

Usage: whodunit-loader <command> [flags]

Commands:
  run      attach the probes, or take over those that are pinned, and serve the socket
  check    print what this kernel offers, what will be missing, and what to do about it
  health   end with 0 if a loader serves the socket, else say why not
  unload   remove all pins, and with them the probes

Flags of run (each with the environment variable that sets its default):
  --socket PATH         WHODUNIT_SOCKET      the socket to serve (%s)
  --socket-group GROUP  WHODUNIT_SOCKET_GROUP  the group, by name or number, that may connect besides root (root)
  --pin-dir DIR         WHODUNIT_PIN_DIR     where probes and maps are pinned (%s)
  --ring-bytes N        WHODUNIT_RING_BYTES  size of the ring buffer, a power of two (%d)
  --scope SCOPE         WHODUNIT_SCOPE       host; or /PATH of a cgroup, or pod:UID of Kubernetes, to watch that subtree alone (host)
  --thread-context BOOL WHODUNIT_THREAD_CONTEXT  1: tell the span that was open in the thread that brought a death (OTEP 4947) (0)
  --unload-on-exit                           remove the pins at the end: nothing watches then until the next run

unload and check take --pin-dir, health takes --socket. --version prints the version, --help this text.
`

// config is what the command line and the environment say.
type config struct {
	command, socket, pinDirectory, scope string
	socketGID, ringBytes                 int
	threadContext, unloadOnExit          bool
}

const (
	defaultSocket       = "/run/whodunit/events.sock"
	defaultPinDirectory = bpffsPath + "/whodunit"
	defaultRingBytes    = 8 << 20
)

func main() {
	err := dispatch(os.Args[1:], os.Getenv, os.Stdout)
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "whodunit-loader:", err)
	var usage *usageError
	if errors.As(err, &usage) {
		os.Exit(usage.code)
	}
	os.Exit(exitFailure)
}

func dispatch(arguments []string, getenv func(string) string, out io.Writer) error {
	config, err := parse(arguments, getenv)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(out, usage, defaultSocket, defaultPinDirectory, defaultRingBytes)
		return nil
	case err != nil:
		return err
	}
	switch config.command {
	case "version":
		fmt.Fprintln(out, "whodunit-loader", version)
		return nil
	case "check":
		return check(out, config.pinDirectory)
	case "health":
		return health(config.socket)
	case "unload":
		removed, err := unload(config.pinDirectory)
		if err == nil {
			fmt.Fprintf(out, "removed %d pins under %s\n", removed, config.pinDirectory)
		}
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return run(ctx, config, newLogger(os.Stderr))
}

// parse reads the command line; the environment gives the defaults. Its errors are *usageError, or flag.ErrHelp.
func parse(arguments []string, getenv func(string) string) (config, error) {
	if len(arguments) == 0 {
		return config{}, &usageError{exitConfig, "a command is missing: run, check, health or unload (--help explains)"}
	}
	c := config{command: arguments[0]}
	switch c.command {
	case "help", "--help", "-h":
		return c, flag.ErrHelp
	case "version", "--version":
		c.command = "version"
		return c, nil
	case "run", "check", "health", "unload":
	default:
		return c, &usageError{exitConfig, fmt.Sprintf("unknown command %q: it must be run, check, health or unload (--help explains)", c.command)}
	}
	or := func(name, fallback string) string {
		if value := getenv(name); value != "" {
			return value
		}
		return fallback
	}
	var ringBytes, group, threadContext string
	flags := flag.NewFlagSet(c.command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	if c.command != "health" {
		flags.StringVar(&c.pinDirectory, "pin-dir", or("WHODUNIT_PIN_DIR", defaultPinDirectory), "")
	}
	if c.command == "run" || c.command == "health" {
		flags.StringVar(&c.socket, "socket", or("WHODUNIT_SOCKET", defaultSocket), "")
	}
	if c.command == "run" {
		flags.StringVar(&group, "socket-group", or("WHODUNIT_SOCKET_GROUP", "0"), "")
		flags.StringVar(&ringBytes, "ring-bytes", or("WHODUNIT_RING_BYTES", strconv.Itoa(defaultRingBytes)), "")
		flags.StringVar(&c.scope, "scope", or("WHODUNIT_SCOPE", scopeHost), "")
		flags.StringVar(&threadContext, "thread-context", or("WHODUNIT_THREAD_CONTEXT", "0"), "")
		flags.BoolVar(&c.unloadOnExit, "unload-on-exit", false, "")
	}
	if err := flags.Parse(arguments[1:]); errors.Is(err, flag.ErrHelp) {
		return c, err
	} else if err != nil {
		return c, &usageError{exitConfig, err.Error() + " (--help explains)"}
	}
	if flags.NArg() > 0 {
		return c, &usageError{exitConfig, fmt.Sprintf("%s takes no argument %q (--help explains)", c.command, flags.Arg(0))}
	}
	if c.command != "run" {
		return c, nil
	}
	if len(c.socket) > 107 {
		return c, &usageError{exitConfig, fmt.Sprintf("--socket %s has %d bytes; a Unix socket's path has 107 at most", c.socket, len(c.socket))}
	}
	var err error
	if c.ringBytes, err = strconv.Atoi(ringBytes); err != nil || c.ringBytes < ringBytesMin || c.ringBytes > ringBytesMax || c.ringBytes&(c.ringBytes-1) != 0 {
		return c, &usageError{exitConfig, fmt.Sprintf("--ring-bytes (WHODUNIT_RING_BYTES) is %q; it must be a power of two from %d to %d", ringBytes, ringBytesMin, ringBytesMax)}
	}
	if c.threadContext, err = strconv.ParseBool(threadContext); err != nil {
		return c, &usageError{exitConfig, fmt.Sprintf("--thread-context (WHODUNIT_THREAD_CONTEXT) is %q; it must be 1 or 0", threadContext)}
	}
	if c.socketGID, err = groupID(group); err != nil {
		return c, &usageError{exitConfig, fmt.Sprintf("--socket-group (WHODUNIT_SOCKET_GROUP) is %q; it must be a group's name or number: %v", group, err)}
	}
	return c, nil
}

func groupID(nameOrNumber string) (int, error) {
	if number, err := strconv.ParseUint(nameOrNumber, 10, 31); err == nil {
		return int(number), nil
	}
	group, err := user.LookupGroup(nameOrNumber)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(group.Gid)
}
