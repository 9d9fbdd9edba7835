// Cases on a pseudo terminal. The undertaker has the master side.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	keyInterrupt = 0x03 // Ctrl-C
	keyQuit      = 0x1c // Ctrl-\\
)

type terminal struct {
	keyboard *os.File
	screen   *os.File
}

func openTerminal() (*terminal, error) {
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return nil, fmt.Errorf("unlock the terminal: %w", err)
	}
	number, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		return nil, fmt.Errorf("number of the terminal: %w", err)
	}
	screen, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	return &terminal{keyboard: keyboard, screen: screen}, nil
}

func typed(key byte) func(t *terminal) error {
	return func(t *terminal) error {
		_, err := t.keyboard.Write([]byte{key})
		return err
	}
}

func hungUp(t *terminal) error { return t.keyboard.Close() }

// onTerminal starts a victim as the session leader of a new terminal, then applies the action to the terminal.
func onTerminal(action func(t *terminal) error, way ...string) func(u *undertaker) error {
	return func(u *undertaker) error {
		t, err := openTerminal()
		if err != nil {
			return err
		}
		u.atClose = append(u.atClose, func() { _ = t.keyboard.Close() })
		v, err := u.launch(launch{
			args: append([]string{"mortal"}, way...), stdin: t.screen,
			attr: &syscall.SysProcAttr{Setsid: true, Setctty: true},
		})
		_ = t.screen.Close()
		if err != nil {
			return err
		}
		if err := v.awaitReady(); err != nil {
			return err
		}
		v.markBefore()
		if err := action(t); err != nil {
			return err
		}
		return u.reap(v, nil)
	}
}
