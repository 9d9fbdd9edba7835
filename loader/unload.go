// SPDX-License-Identifier: Apache-2.0

// The removal of pins: by the command unload, and at the end of `run --unload-on-exit`.

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"whodunit/loader/internal/exitcode"
	"whodunit/loader/internal/host"
	"whodunit/loader/internal/log"
	"whodunit/loader/internal/probes"
)

// unload removes all pins, and says how many records go with them. What is not whodunit's stays, and the error names it.
func unload(out io.Writer, pinDirectory string) error {
	unacknowledged := probes.Unacknowledged(pinDirectory)
	removed, err := probes.Unload(pinDirectory)
	if err != nil && removed == 0 {
		return err
	}
	fmt.Fprintf(out, "removed %d pins under %s", removed, pinDirectory)
	if unacknowledged > 0 {
		fmt.Fprintf(out, ", and with them %d records that no service had acknowledged", unacknowledged)
	}
	fmt.Fprintln(out)
	return err
}

// unloadOnRequest waits for prepareUnload's request on its input, and removes all pins. If the loader ends without one, as when it is killed, the
// pins stay.
func unloadOnRequest(requests io.Reader, pinDirectory string) error {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP) // A terminal or a service manager sends them to the loader, too.
	if err := host.DropAllButFileAccess(); err != nil {
		return err
	}
	if _, err := io.ReadFull(requests, make([]byte, 1)); err != nil {
		return nil
	}
	_, err := probes.Unload(pinDirectory)
	return err
}

// prepareUnload starts a second process of this program that waits to remove the pins: the loader itself cannot remove files once it serves
// (host.FilterSystemCalls). unload has them removed. Without --unload-on-exit, nothing is started and unload does nothing.
func prepareUnload(config config) (unload func() error, _ error) {
	if !config.unloadOnExit {
		return func() error { return nil }, nil
	}
	var messages bytes.Buffer
	process := exec.Command("/proc/self/exe", "unload", "--on-request", "--pin-dir", config.pinDirectory)
	process.Args[0], process.Stderr = os.Args[0], &messages
	requests, err := process.StdinPipe()
	if err == nil {
		err = process.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start the process that removes the pins (--unload-on-exit): %w", err)
	}
	return func() error {
		_, err := requests.Write([]byte{'\n'})
		if err := errors.Join(err, requests.Close()); err != nil {
			return fmt.Errorf("ask for the removal of the pins: %w", err)
		}
		var failed *exec.ExitError
		if err := process.Wait(); errors.As(err, &failed) {
			return exitcode.Errorf(failed.ExitCode(), "%s", strings.TrimPrefix(strings.TrimSpace(messages.String()), log.Prefix))
		} else if err != nil {
			return fmt.Errorf("wait for the removal of the pins: %w", err)
		}
		return nil
	}, nil
}
