// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"time"
)

// message has the fields of the loader's lines that these attacks read.
type message struct {
	Type, Role, Code, Message, Seq string
}

// consume PATH claims the role of the consumer and acknowledges all that it reads, for three seconds. It prints its role, or the refusal.
func consume(args []string) error {
	conn, err := net.Dial("unix", args[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(3 * time.Second))
	fmt.Fprintln(conn, `{"v":1,"type":"ack","seq":"0"}`)
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		var line message
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return err
		}
		switch {
		case line.Type == "hello":
			fmt.Println("hello", line.Role)
		case line.Type == "error":
			fmt.Println(line.Code, line.Message)
		case line.Type == "death":
			fmt.Fprintf(conn, `{"v":1,"type":"ack","seq":"%s"}`+"\n", line.Seq)
		}
	}
	fmt.Println("closed")
	return nil
}

// crowd PATH connects a hundred times, and keeps what it gets for a minute. It prints how many connections were served.
func crowd(args []string) error {
	served := 0
	for range 100 {
		conn, err := net.Dial("unix", args[0])
		if err != nil {
			return err
		}
		defer conn.Close()
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			served++
		}
		go func() { // It reads on, so that the loader does not disconnect it.
			conn.SetReadDeadline(time.Time{})
			for buffer := make([]byte, 64<<10); ; {
				if _, err := conn.Read(buffer); err != nil {
					return
				}
			}
		}()
	}
	fmt.Println("served", served)
	time.Sleep(time.Minute)
	return nil
}
