// Language runtimes that need more than a command line.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// execFormatError has bash execute a file that starts like an ELF file and is not one.
func execFormatError(u *undertaker) error {
	path := filepath.Join(u.workDir, "no-program")
	if err := os.WriteFile(path, []byte("\x7fELF, but nothing comes of it"), 0o755); err != nil {
		return err
	}
	return program("bash", "-c", path)(u)
}

// jvmLaunch starts test/deaths/world/Mortal.java in a small JVM that starts fast.
func (u *undertaker) jvmLaunch(way string) (launch, error) {
	classes, err := findCompiled(".")
	if err != nil {
		return launch{}, err
	}
	exe, err := findProgram("java")
	return launch{exe: exe, args: []string{
		"java", "-Xmx32m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError",
		"-XX:ErrorFile=" + filepath.Join(u.workDir, "hs_err.log"), "-cp", classes, "Mortal", way,
	}}, err
}

func (u *undertaker) startJVM(way string) (*victim, error) {
	l, err := u.jvmLaunch(way)
	if err != nil {
		return nil, err
	}
	return u.launch(l)
}

func jvm(way string) func(u *undertaker) error {
	return func(u *undertaker) error {
		v, err := u.startJVM(way)
		if err != nil {
			return err
		}
		return u.reap(v, nil)
	}
}

func jvmSigterm(u *undertaker) error {
	v, err := u.startJVM("wait")
	if err != nil {
		return err
	}
	return u.killReady(v, unix.SIGTERM)
}

// jvmThreadDump sends SIGQUIT, on which a JVM prints its threads and continues. The victim then exits with code 0.
func jvmThreadDump(u *undertaker) error {
	l, err := u.jvmLaunch("wait-for-input")
	if err != nil {
		return err
	}
	v, orders, err := u.launchListening(l)
	if err != nil {
		return err
	}
	if err := v.awaitReady(); err != nil {
		return err
	}
	k, err := u.startKiller(0)
	if err != nil {
		return err
	}
	if err := k.order("kill", v.PID, int(unix.SIGQUIT)); err != nil {
		return err
	}
	for line := ""; !strings.HasPrefix(line, "Full thread dump"); {
		if line, err = v.out.ReadString('\n'); err != nil {
			return fmt.Errorf("no thread dump was printed: %w", err)
		}
	}
	if err := orders.Close(); err != nil {
		return err
	}
	return u.reap(v, nil)
}
