// SPDX-License-Identifier: Apache-2.0

// A nil pointer that is dereferenced, or C code that crashes below Go, as the argument says.
package main

import "os"

type node struct {
	values [10]int
	next   *node
}

var sink int

//go:noinline
func dereference(n *node) int { return n.next.values[3] + 1 }

//go:noinline
func middle(n *node) int {
	sink = dereference(n)
	return sink + 1
}

type server struct{ requests int }

//go:noinline
func (s *server) serve(n *node) {
	s.requests = middle(n)
	sink++
}

func main() {
	if len(os.Args) > 1 {
		inC()
	}
	done := make(chan bool)
	go func() {
		(&server{}).serve(&node{})
		done <- true
	}()
	<-done
}
