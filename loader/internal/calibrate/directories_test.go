// SPDX-License-Identifier: Apache-2.0

package calibrate

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestOnlyTheCgroupsOfACalibrationThatWasKilledAreRemoved(t *testing.T) {
	top, ended := t.TempDir(), exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(top, fmt.Sprintf("%s-memory%d-1", directoryPrefix, os.Getppid()))
	left := filepath.Join(top, fmt.Sprintf("%s-memory%d-1", directoryPrefix, ended.Process.Pid))
	for _, path := range []string{own, left} {
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	removeLeft(top)
	if _, err := os.Stat(own); err != nil {
		t.Errorf("of another process that calibrates: %v", err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("of a process that ended: %v", err)
	}
}
