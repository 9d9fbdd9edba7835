// The attacker runs one attack, as the user that the test chose, and prints a line when it is in place. `attacker NAME [ARGUMENT]...`.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"os"
	"time"
)

// attacks: each returns when the attack is over. Arguments are the test's.
var attacks = map[string]func(args []string) error{
	"asUsers":      asUsers,
	"blocked":      blocked,
	"bystander":    bystander,
	"cgroup":       enterCgroup,
	"cgroups":      cgroups,
	"claim":        claim,
	"consume":      consume,
	"crowd":        crowd,
	"exit":         exit,
	"exits":        exits,
	"flood":        flood,
	"forge":        forge,
	"forgeBuildId": forgeBuildID,
	"hoard":        hoard,
	"inMemory":     inMemory,
	"killer":       killer,
	"marked":       marked,
	"notified":     notified,
	"obey":         obey,
	"orphan":       orphan,
	"privsep":      privsep,
	"publish":      publish,
	"queue":        queue,
	"replaced":     replaced,
	"send":         send,
	"subordinates": subordinates,
	"timers":       timers,
	"unblocked":    unblocked,
	"undescribed":  undescribed,
	"wait":         wait,
}

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: attacker NAME [ARGUMENTS]"))
	}
	attack, ok := attacks[os.Args[1]]
	if !ok {
		fail(fmt.Errorf("no attack is called %q", os.Args[1]))
	}
	if err := attack(os.Args[2:]); err != nil {
		fail(fmt.Errorf("%s: %w", os.Args[1], err))
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "attacker:", err)
	os.Exit(1)
}

// wait does nothing for a minute: a bystander, or a victim.
func wait([]string) error {
	fmt.Println("ready")
	time.Sleep(time.Minute)
	return nil
}
