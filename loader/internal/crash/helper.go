// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// HelperCommand is the command of this program that runs the helper.
const HelperCommand = "crash-helper"

// The descriptors that the helper inherits.
const (
	RequestsFD = iota + 3
	AnswersFD
	ArenaFD
)

// Message is a request, or the answer with the same number. Shorter than PIPE_BUF: each is written and read in one piece, also if the helper is
// killed.
type Message struct {
	Number, Entry uint32
	Bytes         uint32 // of the answer in the entry; 0: the worker failed
	Zero          uint32
}

// Answer writes an answer to the loader.
func Answer(to io.Writer, answer Message) error {
	var raw [MessageBytes]byte
	if _, err := binary.Encode(raw[:], binary.NativeEndian, answer); err != nil {
		return err
	}
	if _, err := to.Write(raw[:]); err != nil {
		return fmt.Errorf("write an answer: %w", err)
	}
	return nil
}

// MessageBytes is the length of a Message in a pipe.
const MessageBytes = 16

// Helper is the process that unwinds. It is started before the loader gives up that right, and has a way to replace itself (package crash/helper).
type Helper struct {
	process           *exec.Cmd
	requests, answers *os.File
}

// StartHelper starts the helper. It ends when the loader does, or Close is called.
func StartHelper(arena *Arena) (*Helper, error) { return startHelper("/proc/self/exe", arena) }

func startHelper(loader string, arena *Arena) (*Helper, error) {
	requestsRead, requests, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start the crash helper: %w", err)
	}
	answers, answersWrite, err := os.Pipe()
	if err != nil {
		requestsRead.Close()
		requests.Close()
		return nil, fmt.Errorf("start the crash helper: %w", err)
	}
	process := exec.Command(loader, HelperCommand)
	process.Args[0], process.Stderr, process.Env = os.Args[0], os.Stderr, []string{}
	process.ExtraFiles = []*os.File{requestsRead, answersWrite, arena.file}
	err = process.Start()
	requestsRead.Close()
	answersWrite.Close()
	if err != nil {
		requests.Close()
		answers.Close()
		return nil, fmt.Errorf("start the crash helper: %w", err)
	}
	return &Helper{process, requests, answers}, nil
}

func (h *Helper) send(request Message) error {
	var raw [MessageBytes]byte
	if _, err := binary.Encode(raw[:], binary.NativeEndian, request); err != nil {
		return err
	}
	h.requests.SetWriteDeadline(time.Now().Add(time.Second)) // The pipe has room for more than entriesMax.
	if _, err := h.requests.Write(raw[:]); err != nil {
		return fmt.Errorf("send a crash to the helper: %w", err)
	}
	return nil
}

func (h *Helper) receive() (answer Message, err error) {
	var raw [MessageBytes]byte
	if _, err := io.ReadFull(h.answers, raw[:]); err != nil {
		return answer, err
	}
	_, err = binary.Decode(raw[:], binary.NativeEndian, &answer)
	return answer, err
}

// stopReceiving makes receive fail.
func (h *Helper) stopReceiving() { h.answers.SetReadDeadline(time.Now()) }

// Close ends the helper, and waits for that.
func (h *Helper) Close() error {
	return errors.Join(h.requests.Close(), h.process.Wait(), h.answers.Close())
}
