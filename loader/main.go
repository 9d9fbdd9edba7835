// SPDX-License-Identifier: Apache-2.0

// whodunit-loader attaches the probes and sends what they report to the service, over a Unix socket.
//
// The main package has the commands: main.go dispatches, flags.go reads the command line, run.go, check.go and unload.go implement the larger
// commands. Only main exits.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"whodunit/loader/internal/calibrate"
	"whodunit/loader/internal/crash"
	"whodunit/loader/internal/crash/helper"
	"whodunit/loader/internal/exitcode"
	"whodunit/loader/internal/host"
	"whodunit/loader/internal/log"
	"whodunit/loader/internal/server"
	"whodunit/loader/internal/victim"
)

//go:generate npm --prefix .. run generate

// version is the loader's; a test compares it with package.json's.
const version = "0.1.0"

func main() {
	if err := dispatch(os.Args[1:], os.Getenv, os.Stdout); err != nil {
		logger, _ := loggerOf(os.Args[1:], os.Getenv)
		logger.Failuref("%v", err)
		os.Exit(exitcode.Of(err))
	}
}

// loggerOf returns the logger of a command. problem says what is wrong with its level.
func loggerOf(arguments []string, getenv func(string) string) (logger *log.Logger, problem string) {
	style := log.CommandStyle(getenv, os.Stderr)
	if len(arguments) > 0 && arguments[0] == "run" {
		style, problem = log.ServiceStyle(getenv, os.Stderr)
	}
	return log.Styled(os.Stderr, style), problem
}

func dispatch(arguments []string, getenv func(string) string, out io.Writer) error {
	config, err := parse(arguments, getenv)
	switch {
	case errors.Is(err, flag.ErrHelp):
		printUsage(out)
		return nil
	case err != nil:
		return err
	}
	config.tracepoints = findTracepoints(config)
	switch config.command {
	case crash.HelperCommand:
		if config.worker {
			return helper.Work()
		}
		return helper.Supervise()
	case calibrate.Command:
		return calibrate.Run(config.number, config.executions)
	case victim.Command:
		return victim.Run(victim.Way(config.way), config.name)
	case "version":
		fmt.Fprintln(out, "whodunit-loader", version)
		return nil
	case "check":
		return check(out, config)
	case "calibrate":
		return explain(calibrateKernel(out, config))
	case "health":
		if config.address != "" {
			return server.HealthOf(config.address)
		}
		return server.Health(config.socket)
	case "unload":
		if config.onRequest {
			return explain(unloadOnRequest(os.Stdin, config.pinDirectory))
		}
		return explain(unload(out, config.pinDirectory))
	}
	if err := host.RequireNoCgo(); err != nil {
		return exitcode.Errorf(exitcode.Unavailable, "%w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	logger, problem := loggerOf(arguments, getenv)
	outlive(logger)
	if problem != "" {
		logger.Warnf("%s", problem)
	}
	return run(ctx, config, logger)
}

// outlive keeps signals from terminating the loader whose default action does: SIGHUP, which asks a service to reload, and SIGPIPE, which
// Go sends to a program whose stderr has no reader.
func outlive(logger *log.Logger) {
	signal.Ignore(syscall.SIGPIPE)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		for range hangups {
			logger.Limitf("hangup", "SIGHUP is ignored: the loader has nothing to reload")
		}
	}()
}
