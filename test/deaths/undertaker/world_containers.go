// Cases in a container. The parent of its processes is containerd-shim, so the status is the one that Docker received.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// container is a running container, with its process 1 as a victim.
type container struct {
	*victim
	d    *docker
	id   string
	shim *actor // containerd-shim, the parent of the processes in it
}

// inContainer starts a container, waits until it is ready, and applies the action.
func inContainer(action func(d *docker, c *container) error, options []string, command ...string) func(u *undertaker) error {
	return func(u *undertaker) error {
		d, err := u.startDocker()
		if err != nil {
			return err
		}
		c, err := d.run(options, command...)
		if err != nil {
			return err
		}
		return action(d, c)
	}
}

func (d *docker) run(options []string, command ...string) (*container, error) {
	if err := unix.Mkfifo(d.in("orders/go"), 0o600); err != nil {
		return nil, err
	}
	fixed := []string{"run", "--detach", "--network", "none", "--volume", d.in("orders") + ":" + ordersInside}
	args := append(append(append(fixed, options...), dockerImage), command...)
	id, err := d.call(args...)
	if err != nil {
		return nil, err
	}
	c := &container{d: d, id: id}
	err = awaitTrue("the container is ready", func() error {
		said, err := d.call("logs", id)
		if err == nil && said != "ready" {
			err = fmt.Errorf("it printed %q", said)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	text, err := d.call("inspect", "--format", "{{.State.Pid}}", id)
	if err != nil {
		return nil, err
	}
	pid, err := strconv.Atoi(text)
	if err != nil {
		return nil, err
	}
	c.victim, err = d.adopt(pid, id)
	if err != nil {
		return nil, err
	}
	c.shim, err = readActor(c.ParentPID)
	return c, err
}

func (d *docker) adopt(pid int, id string) (*victim, error) {
	v, err := adopt(pid)
	if err != nil {
		return nil, err
	}
	v.ContainerID = id
	return v, nil
}

// goAhead writes to the FIFO on which the container waits.
func (c *container) goAhead() error {
	c.markBefore()
	return os.WriteFile(c.d.in("orders/go"), []byte("\n"), 0)
}

// wait returns the exit code that Docker reports for process 1.
func (c *container) wait() (int, error) {
	text, err := c.d.call("wait", c.id)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

// reap keeps the status that Docker received as the truth about its process 1.
func (c *container) reap(killer *actor) error {
	code, err := c.wait()
	if err != nil {
		return err
	}
	c.d.u.recordStatus(c.victim, statusOfShell(code), killer)
	return nil
}

// thenDo is a command that prints `ready`, and does the rest after goAhead.
func thenDo(what string) []string { return afterOrder(ordersInside+"/go", what) }

func containerExits(_ *docker, c *container) error {
	if err := c.goAhead(); err != nil {
		return err
	}
	return c.reap(nil)
}

// endedByDocker terminates the container with a docker command. The log of the runc wrapper shows which runc sent the last signal.
func endedByDocker(signal syscall.Signal, command ...string) func(d *docker, c *container) error {
	return func(d *docker, c *container) error {
		killer, err := c.end(signal, command...)
		if err != nil {
			return err
		}
		return c.reap(killer)
	}
}

func (c *container) end(signal syscall.Signal, command ...string) (*actor, error) {
	c.markBefore()
	if _, err := c.d.call(append(command, c.id)...); err != nil {
		return nil, err
	}
	return c.d.runcThatSent(c, signal)
}

// containerOutOfMemory reads the kernel log: OOMKilled of Docker stays false if Docker gets the exit first.
func containerOutOfMemory(d *docker, c *container) error {
	if err := c.goAhead(); err != nil {
		return err
	}
	c.Exe, c.Args = "/mortal", []string{"/mortal", "eat-memory"}
	if err := c.reap(nil); err != nil {
		return err
	}
	sizes, err := readOomLine(c.PID)
	d.u.deaths[len(d.u.deaths)-1].OOM = sizes
	return err
}

// containerInitExits: process 1 exits while another process is in the container, and the kernel kills that one.
func containerInitExits(d *docker, c *container) error {
	other, err := c.exec("/mortal", "wait")
	if err != nil {
		return err
	}
	other.markBefore()
	if err := c.goAhead(); err != nil {
		return err
	}
	if err := other.reap(d.u, nil); err != nil {
		return err
	}
	return c.reap(nil)
}

// initForwards: the init of `docker run --init` forwards signals to its child, and exits with the status of the child as shells encode it.
func initForwards(d *docker, c *container) error {
	pid, err := onlyChild(c.PID)
	if err != nil {
		return err
	}
	v, err := d.adopt(pid, c.id)
	if err != nil {
		return err
	}
	forwarder, err := readActor(c.PID)
	if err != nil {
		return err
	}
	forwarder.ContainerID = c.id
	killer, err := c.end(unix.SIGTERM, "stop")
	if err != nil {
		return err
	}
	code, err := c.wait()
	if err != nil {
		return err
	}
	d.u.recordStatus(v, statusOfShell(code), forwarder)
	d.u.recordStatus(c.victim, syscall.WaitStatus(code<<8), killer)
	return nil
}

// killedInside: killer and victim are both in the container, each started by `docker exec`.
func killedInside(d *docker, c *container) error {
	v, err := c.exec("/mortal", "wait")
	if err != nil {
		return err
	}
	k, err := c.exec("/bin/sh", "-c", fmt.Sprintf("echo ready; read _; kill -KILL %d", v.VPID))
	if err != nil {
		return err
	}
	who, err := readActor(k.PID)
	if err != nil {
		return err
	}
	who.ContainerID = c.id
	v.markBefore()
	if _, err := fmt.Fprintln(k.input); err != nil {
		return err
	}
	return v.reap(d.u, who)
}
