// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"whodunit/loader/internal/crash/helper"
	"whodunit/loader/internal/probes"
	"whodunit/loader/internal/wire"
)

// What stacks lack, as check and the service's doctor say it.
const (
	stacksOff      = "WHODUNIT_STACK=0 is set for the loader"
	stacksNotHere  = "without them, where a program crashed is unknown; use Linux 6.1 or later on x86-64 or arm64"
	filesOfOthers  = "functions in executables that only their owner may read have no names; grant CAP_DAC_READ_SEARCH, which only the process that unwinds keeps"
	filesNotCopied = "functions in executables that are removed or replaced while they run, or that lie in memory, have no names"
)

// stacksStatus says whether stacks are taken, and what they lack. crashes: nil if they are not.
func stacksStatus(wanted probes.Stacks, crashes *probes.Crashes, mayReadAll bool) wire.Stacks {
	switch {
	case wanted == probes.StacksOff:
		return wire.Stacks{Copied: string(probes.StacksOff), Missing: []string{stacksOff}}
	case crashes == nil:
		return wire.Stacks{Copied: string(probes.StacksOff), Missing: []string{stacksNotHere}}
	}
	status := wire.Stacks{Copied: string(crashes.Stacks), Missing: []string{}}
	if !mayReadAll {
		status.Missing = append(status.Missing, filesOfOthers)
	}
	if missing := helper.FindLayers().Missing(mayReadAll); missing != "" {
		status.Missing = append(status.Missing, missing)
	}
	if crashes.NoPages != nil {
		status.Missing = append(status.Missing, fmt.Sprintf("%s: %v", filesNotCopied, crashes.NoPages))
	}
	return status
}
