// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"whodunit/loader/internal/wire"
)

func TestOnlyRootAndTheServicesUserMayClaim(t *testing.T) {
	const service = 7
	for _, test := range []struct {
		consumer, uid uint32
		refusal       string // "": none
	}{{0, 0, ""}, {0, 8, "only root may be"}, {service, service, ""}, {service, 0, ""}, {service, 8, "only root and uid 7 may be"}} {
		err := New(Config{ConsumerUID: test.consumer}).mayClaim(peer{Ucred: unix.Ucred{Uid: test.uid}})
		if test.refusal == "" && err == nil {
			continue
		}
		var refused *wire.Error
		if !errors.As(err, &refused) || refused.Code != wire.CodeNotConsumer || !strings.Contains(refused.Message, test.refusal) || !strings.Contains(refused.Message, "WHODUNIT_SOCKET_USER") {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

// However many places the users of the group and the service's user take, one is left for root, and one for the service unless it took them.
func TestPlacesArePerUserAndSomeAreKept(t *testing.T) {
	const service = 7
	s := New(Config{ConsumerUID: service})
	fill := func(uid uint32) (taken int) {
		for s.add(&session{peer: peer{Ucred: unix.Ucred{Uid: uid}}}) == "" {
			taken++
		}
		return taken
	}
	got := fmt.Sprint(fill(8), fill(9), fill(10), fill(service), fill(0))
	if want := fmt.Sprint(userClientsMax, otherClients-userClientsMax, 0, userClientsMax, clientsMax-otherClients-userClientsMax); got != want || fill(0) != 0 {
		t.Errorf("taken: %s, want %s", got, want)
	}
}

func TestASocketpairHasTheGroupsOfThisProcess(t *testing.T) {
	want, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	for _, room := range []int{1, groupsFirst} {
		groups, err := peerGroups(uintptr(pair[0]), room)
		if err != nil || len(groups) != len(want) {
			t.Errorf("%v, %v; want %v", groups, err, want)
		}
	}
}
