// SPDX-License-Identifier: Apache-2.0

// Who a client is, and what it may: connect, take a place, be the consumer.

package server

import (
	"fmt"
	"net"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"whodunit/loader/internal/wire"
)

// The places for connections at one time. The places that other users cannot take suffice for the consumer's user and for root.
const (
	clientsMax     = 64
	userClientsMax = 24 // of one user, except root
	otherClients   = 32 // of all users together, except root and the consumer's
)

// groupsFirst is the number of supplementary groups for which the first call of getsockopt(2) has room.
const groupsFirst = 32

// peer is the process that connected, as it was then.
type peer struct {
	unix.Ucred
	groups []uint32 // supplementary
}

// peerOf returns the credentials of the process that connected (SO_PEERCRED, SO_PEERGROUPS).
func peerOf(conn *net.UnixConn) (p peer, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return p, err
	}
	var sockErr error
	err = raw.Control(func(fd uintptr) {
		var credentials *unix.Ucred
		if credentials, sockErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); sockErr != nil {
			return
		}
		p.Ucred = *credentials
		p.groups, sockErr = peerGroups(fd, groupsFirst)
	})
	if err != nil {
		return p, err
	}
	return p, sockErr
}

// peerGroups reads SO_PEERGROUPS, for which x/sys/unix has no function. If there are more than room groups, the kernel returns their size.
func peerGroups(fd uintptr, room int) ([]uint32, error) {
	const groupBytes = 4
	groups := make([]uint32, room)
	size := uint32(room * groupBytes)
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
		uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
	got := int(size / groupBytes)
	switch {
	case errno == unix.ERANGE && got > room:
		return peerGroups(fd, got)
	case errno == unix.ENOPROTOOPT: // before Linux 4.13: only the primary group is known
		return nil, nil
	case errno != 0:
		return nil, errno
	}
	return groups[:got], nil
}

// mayConnect decides by the peer's credentials, since the mode of the socket's file may have been changed.
func (s *Server) mayConnect(p peer) bool {
	return s.isTrusted(p.Uid) || p.Gid == s.config.SocketGID || slices.Contains(p.groups, s.config.SocketGID)
}

// isTrusted reports whether the user may be the consumer.
func (s *Server) isTrusted(uid uint32) bool { return uid == 0 || uid == s.config.ConsumerUID }

// mayClaim returns why the peer may not be the consumer. The service shows the message, also an older one.
func (s *Server) mayClaim(p peer) error {
	if s.isTrusted(p.Uid) {
		return nil
	}
	who := "root"
	if s.config.ConsumerUID != 0 {
		who = fmt.Sprintf("root and uid %d", s.config.ConsumerUID)
	}
	return &wire.Error{Code: wire.CodeNotConsumer, Message: fmt.Sprintf("uid %d (pid %d) may read, but only %s may be the service that acknowledges: set WHODUNIT_SOCKET_USER (--socket-user) of the loader to the user of the service", p.Uid, p.Pid, who)}
}

// full returns which limit is reached for another client of the user; "": none. s.mu is locked.
func (s *Server) full(uid uint32) string {
	same, others := 0, 0
	for session := range s.sessions {
		if session.peer.Uid == uid {
			same++
		}
		if !s.isTrusted(session.peer.Uid) {
			others++
		}
	}
	switch {
	case len(s.sessions) >= clientsMax:
		return fmt.Sprintf("%d clients are connected, the limit", clientsMax)
	case uid != 0 && same >= userClientsMax:
		return fmt.Sprintf("%d clients of this user are connected, the limit", userClientsMax)
	case !s.isTrusted(uid) && others >= otherClients:
		return fmt.Sprintf("%d clients are connected that are neither root's nor the service's, the limit", otherClients)
	}
	return ""
}
