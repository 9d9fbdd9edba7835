// SPDX-License-Identifier: Apache-2.0

package host

import "testing"

func TestRealTimeKernelsBefore612SleepInProbes(t *testing.T) {
	for _, test := range []struct {
		release, version string
		want             bool
	}{
		{"4.19.0-26-rt-amd64", "#1 SMP PREEMPT RT Debian 4.19.304-1 (2024-01-09)", true},
		{"6.1.0-50-rt-amd64", "#1 SMP PREEMPT_RT Debian 6.1.170-1 (2026-08-11)", true},
		{"5.10.0-46-rt-amd64", "#1 SMP PREEMPT_RT Debian 5.10.262-1 (2026-07-31)", true},
		{"6.11.2", "#1 SMP PREEMPT_RT", true},
		{"6.12.117+deb13-rt-amd64", "#1 SMP PREEMPT_RT Debian 6.12.117-1 (2026-11-12)", false},
		{"7.2.13", "#1 SMP PREEMPT_RT", false},
		{"6.1.0-50-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.170-1 (2026-08-11)", false},
		{"unknown", "unknown", false},
	} {
		t.Run(test.release, func(t *testing.T) {
			if got := sleepsInProbes(test.release, test.version); got != test.want {
				t.Errorf("%v", got)
			}
		})
	}
}
