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
	filesOfOthers  = "functions in executables that only their owner may read have no names; grant CAP_DAC_READ_SEARCH, which only the process that unwinds keeps"
	filesNotCopied = "functions in executables that are removed or replaced while they run, or that lie in memory, have no names"
)

// stacksNotHere says what it means that stacks are not copied for lack of something.
func stacksNotHere(lack string) string {
	return "without them, where a program crashed is unknown; " + lack
}

// stacksStatus says whether stacks are taken, and what they lack.
func stacksStatus(wanted probes.Stacks, attached *probes.Probes, mayReadAll bool) wire.Stacks {
	crashes := attached.Crashes
	switch {
	case wanted == probes.StacksOff:
		return wire.Stacks{Copied: string(probes.StacksOff), Missing: []string{stacksOff}}
	case crashes == nil:
		return wire.Stacks{Copied: string(probes.StacksOff), Missing: []string{stacksNotHere(attached.StacksLack)}}
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
