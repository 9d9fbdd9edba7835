// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/user"
	"strconv"
	"strings"

	"whodunit/loader/internal/calibrate"
	"whodunit/loader/internal/crash"
	"whodunit/loader/internal/crash/helper"
	"whodunit/loader/internal/exitcode"
	"whodunit/loader/internal/oldprobes"
	"whodunit/loader/internal/probes"
	"whodunit/loader/internal/server"
	"whodunit/loader/internal/victim"
)

const usage = `whodunit-loader attaches probes to the kernel and serves what they report on a Unix socket.

Usage: whodunit-loader <command> [flags]

Commands:
  run        attach the probes, or take over those that are pinned, and serve the socket
  check      print what this kernel supports, what will be missing, and what to do about it
  health     exit with 0 if a loader serves the socket (with --service or --address: if the service is ready), else print the reason and exit with 1
  unload     remove all pins of whodunit, and with them the probes; not while a loader runs
  calibrate  where the kernel has no BTF: find its types as root, and keep them for a loader with fewer privileges

Flags of run (each with the environment variable that sets its default):
  --socket PATH          WHODUNIT_SOCKET          path of the Unix socket (%s)
  --socket-group GROUP   WHODUNIT_SOCKET_GROUP    group, by name or number, that may connect besides root (root)
  --socket-user USER     WHODUNIT_SOCKET_USER     user, by name or number, who may be the service, which acknowledges, besides root (root)
  --pin-dir DIR          WHODUNIT_PIN_DIR         directory in which probes and maps are pinned (%s)
  --ring-bytes N         WHODUNIT_RING_BYTES      size of the ring buffer in bytes, a power of two (%d)
  --btf FILE             WHODUNIT_BTF             types of exactly this kernel: BTF, or an ELF file that has it (those of the kernel)
  --calibration FILE     WHODUNIT_CALIBRATION     what calibrate found, where the kernel has no BTF (%s)
  --scope SCOPE          WHODUNIT_SCOPE           what to watch: host, the subtree of a cgroup (/PATH), or a Kubernetes pod (pod:UID) (host)
  --stack BOOL           WHODUNIT_STACK           1: copy the stack of a process that crashes, and report where it crashed (1)
  --thread-context BOOL  WHODUNIT_THREAD_CONTEXT  1: report the span that was open in the thread that triggered a termination (OTEP 4947) (0)
  --unload-on-exit                                remove the pins on exit; nothing is recorded until the next run

OTEL_LOG_LEVEL (none, error, warn or info) says which messages it writes while it runs; with time and level or, in the journal, a priority.

unload and check accept --pin-dir, check and calibrate --btf and --calibration, check also --output text or json; health accepts --socket, --address HOST:PORT of the service's health endpoint, or --service for the endpoint that
WHODUNIT_HEALTH_ADDR names (%s; off: nothing to ask). --version prints the version, --help this text.
`

const (
	defaultSocket      = "/run/whodunit/events.sock"
	defaultCalibration = "/var/lib/whodunit-loader/calibration.json"
	defaultRingBytes   = 8 << 20
	defaultHealth      = "127.0.0.1:9465" // as in src/config/knobs.ts
)

func printUsage(out io.Writer) {
	fmt.Fprintf(out, usage, defaultSocket, probes.DefaultPinDirectory, defaultRingBytes, defaultCalibration, defaultHealth)
}

// config holds the settings from the command line and the environment.
type config struct {
	command, socket, address, pinDirectory, scope string
	output                                        string                 // of check
	btf                                           string                 // a file; "": the kernel's own
	calibration                                   string                 // the file of what calibrate found
	probes                                        string                 // oldProbes or classicProbes; "": those of the kernel
	tracepoints                                   *oldprobes.Tracepoints // findTracepoints
	socketGID, socketUID, ringBytes               int
	stacks                                        probes.Stacks
	worker                                        bool
	threadContext, unloadOnExit                   bool
	onRequest                                     bool   // of unload, for prepareUnload only
	way, name                                     string // of victim
	number, executions                            int    // of calibration-child
}

// unchecked holds flags of run whose text is not checked yet.
type unchecked struct{ ringBytes, group, user, threadContext, stack string }

// parse reads the command line, with defaults from the environment. Its errors have exitcode.Config, or are flag.ErrHelp.
func parse(arguments []string, getenv func(string) string) (config, error) {
	var c config
	var err error
	if c.command, err = parseCommand(arguments); err != nil || c.command == "version" {
		return c, err
	}
	var text unchecked
	flags := c.flagSet(&text, getenv)
	if err := flags.Parse(arguments[1:]); errors.Is(err, flag.ErrHelp) {
		return c, err
	} else if err != nil {
		return c, exitcode.Errorf(exitcode.Config, "%w (see --help)", err)
	}
	if flags.NArg() > 0 {
		return c, exitcode.Errorf(exitcode.Config, "%s accepts no argument, but has %q (see --help)", c.command, flags.Arg(0))
	}
	switch {
	case c.probes != "" && c.probes != oldProbes && c.probes != classicProbes:
		err = exitcode.Errorf(exitcode.Config, "--probes (WHODUNIT_PROBES) is %q; it must be %s or %s, or not be set", c.probes, oldProbes, classicProbes)
	case c.command == "run":
		err = c.check(text)
	case c.command == "check" && c.output != "text" && c.output != "json":
		err = exitcode.Errorf(exitcode.Config, "--output is %q; it must be text or json", c.output)
	}
	return c, err
}

func parseCommand(arguments []string) (string, error) {
	if len(arguments) == 0 {
		return "", exitcode.Errorf(exitcode.Config, "a command is missing: run, check, calibrate, health or unload (see --help)")
	}
	switch command := arguments[0]; command {
	case "help", "--help", "-h":
		return "", flag.ErrHelp
	case "version", "--version":
		return "version", nil
	case "run", "check", "calibrate", "health", "unload", crash.HelperCommand, victim.Command, calibrate.Command:
		return command, nil
	default:
		return "", exitcode.Errorf(exitcode.Config, "unknown command %q: it must be run, check, calibrate, health or unload (see --help)", command)
	}
}

// flagSet returns the flags of the command. Parsing it writes to c and text.
func (c *config) flagSet(text *unchecked, getenv func(string) string) *flag.FlagSet {
	flags := flag.NewFlagSet(c.command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	add := func(value *string, name, variable, fallback string) {
		flags.StringVar(value, name, cmp.Or(getenv(variable), fallback), "")
	}
	if c.command == crash.HelperCommand {
		flags.BoolVar(&c.worker, strings.TrimPrefix(helper.WorkerArgument, "--"), false, "")
		return flags
	}
	if c.command == victim.Command {
		flags.StringVar(&c.way, "way", "", "")
		flags.StringVar(&c.name, "name", "", "")
		return flags
	}
	if c.command == calibrate.Command {
		flags.IntVar(&c.number, "number", 0, "")
		flags.IntVar(&c.executions, "executions", calibrate.Unprepared, "")
		return flags
	}
	if c.command != "health" && c.command != "calibrate" {
		add(&c.pinDirectory, "pin-dir", "WHODUNIT_PIN_DIR", probes.DefaultPinDirectory)
	}
	if c.command == "run" || c.command == "check" || c.command == "calibrate" {
		add(&c.btf, "btf", "WHODUNIT_BTF", "")
		add(&c.calibration, "calibration", "WHODUNIT_CALIBRATION", defaultCalibration)
		add(&c.probes, "probes", "WHODUNIT_PROBES", "")
	}
	if c.command == "run" || c.command == "health" {
		add(&c.socket, "socket", "WHODUNIT_SOCKET", defaultSocket)
	}
	if c.command == "health" {
		flags.StringVar(&c.address, "address", "", "")
		flags.BoolFunc("service", "", func(string) error {
			c.address = cmp.Or(getenv("WHODUNIT_HEALTH_ADDR"), defaultHealth)
			return nil
		})
	}
	if c.command == "check" {
		flags.StringVar(&c.output, "output", "text", "")
	}
	if c.command == "unload" {
		flags.BoolVar(&c.onRequest, "on-request", false, "")
	}
	if c.command == "run" {
		add(&text.group, "socket-group", "WHODUNIT_SOCKET_GROUP", "0")
		add(&text.user, "socket-user", "WHODUNIT_SOCKET_USER", "0")
		add(&text.ringBytes, "ring-bytes", "WHODUNIT_RING_BYTES", strconv.Itoa(defaultRingBytes))
		add(&c.scope, "scope", "WHODUNIT_SCOPE", probes.ScopeHost)
		add(&text.threadContext, "thread-context", "WHODUNIT_THREAD_CONTEXT", "0")
		add(&text.stack, "stack", "WHODUNIT_STACK", "1")
		flags.BoolVar(&c.unloadOnExit, "unload-on-exit", false, "")
	}
	return flags
}

// check checks the flags of run and sets c from text. The scope is checked by probes.FindScope.
func (c *config) check(text unchecked) (err error) {
	if len(c.socket) > server.PathBytesMax {
		return exitcode.Errorf(exitcode.Config, "--socket (WHODUNIT_SOCKET) is %s, which has %d bytes; the path of a Unix socket has at most %d: choose a shorter one", c.socket, len(c.socket), server.PathBytesMax)
	}
	c.ringBytes, err = strconv.Atoi(text.ringBytes)
	if err != nil || c.ringBytes < probes.RingBytesMin || c.ringBytes > probes.RingBytesMax || c.ringBytes&(c.ringBytes-1) != 0 {
		return exitcode.Errorf(exitcode.Config, "--ring-bytes (WHODUNIT_RING_BYTES) is %q; it must be a power of two from %d to %d", text.ringBytes, probes.RingBytesMin, probes.RingBytesMax)
	}
	if c.threadContext, err = strconv.ParseBool(text.threadContext); err != nil {
		return exitcode.Errorf(exitcode.Config, "--thread-context (WHODUNIT_THREAD_CONTEXT) is %q; it must be 1 or 0", text.threadContext)
	}
	if c.stacks, err = stacksOf(text.stack); err != nil {
		return err
	}
	if c.socketGID, err = groupID(text.group); err != nil {
		return exitcode.Errorf(exitcode.Config, "--socket-group (WHODUNIT_SOCKET_GROUP) is %q; it must be a group's name or number: %w", text.group, err)
	}
	if c.socketUID, err = userID(text.user); err != nil {
		return exitcode.Errorf(exitcode.Config, "--socket-user (WHODUNIT_SOCKET_USER) is %q; it must be a user's name or number: %w", text.user, err)
	}
	return nil
}

// stackAtDelivery makes the probes copy a stack as on kernels before 6.16, for tests.
const stackAtDelivery = "delivery"

func stacksOf(text string) (probes.Stacks, error) {
	if text == stackAtDelivery {
		return probes.StacksAtDelivery, nil
	}
	wanted, err := strconv.ParseBool(text)
	if err != nil {
		return "", exitcode.Errorf(exitcode.Config, "--stack (WHODUNIT_STACK) is %q; it must be 1 or 0", text)
	}
	if !wanted {
		return probes.StacksOff, nil
	}
	return probes.StacksAtExit, nil
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

func userID(nameOrNumber string) (int, error) {
	if number, err := strconv.ParseUint(nameOrNumber, 10, 31); err == nil {
		return int(number), nil
	}
	found, err := user.Lookup(nameOrNumber)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(found.Uid)
}
