// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"strings"
	"testing"
)

func TestStacksAreCopiedWhenTheKernelCan(t *testing.T) {
	maple := kernelFeatures{bpfVarFeatureMapleTree: true}
	late := kernelFeatures{bpfVarFeatureMapleTree: true, bpfVarFeatureGroupDead: true}
	for _, test := range []struct {
		name         string
		kernel       kernelFeatures
		wanted, here Stacks
	}{
		{"without a maple tree, as before 6.1", kernelFeatures{}, StacksAtExit, StacksOff},
		{"without memory at the exit, as before 6.16", maple, StacksAtExit, StacksAtDelivery},
		{"with memory at the exit", late, StacksAtExit, StacksAtExit},
		{"at the delivery, for tests", late, StacksAtDelivery, StacksAtDelivery},
		{"turned off", late, StacksOff, StacksOff},
		{"turned off, and without a maple tree", kernelFeatures{}, StacksOff, StacksOff},
	} {
		t.Run(test.name, func(t *testing.T) {
			if here := test.wanted.here(test.kernel); here != test.here {
				t.Errorf("%q, wanted %q", here, test.here)
			}
		})
	}
	if lack := (kernelFeatures{}).lackForStacks(); !strings.Contains(lack, "Linux 6.1") {
		t.Errorf("what is missing: %q", lack)
	}
}
