// SPDX-License-Identifier: Apache-2.0

package oldprobes

import (
	"os"
	"testing"

	"whodunit/loader/internal/probes"
	"whodunit/loader/internal/stormtest"
)

func TestMain(m *testing.M) { os.Exit(stormtest.Main(m)) }

func TestTypesAreVerifiedWhileVeryManyProcessesTerminate(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root")
	}
	storms := []*stormtest.Storm{stormtest.Start(t, 0), stormtest.Start(t, 0)}
	if err := Verify(probes.KernelTypes(), nil); err != nil {
		t.Error(err)
	}
	for _, storm := range storms {
		storm.Stop(t)
	}
}
