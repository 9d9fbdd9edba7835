// SPDX-License-Identifier: Apache-2.0

package record

import (
	"errors"
	"unsafe"

	"whodunit/loader/internal/abi"
)

// signalOf returns the signal whose sender a part of this kind describes. nil: the record has none.
func signalOf(event *Event, sender abi.PartKind) *Signal {
	switch {
	case sender == abi.PartKindPART_SIGNAL_SENDER:
		return event.Signal
	case sender == abi.PartKindPART_REQUEST_SENDER:
		return event.Request
	case event.Stop == nil:
		return nil
	}
	return &event.Stop.Signal
}

var errUndescribed = errors.New("a sender is described, but the record does not have its signal")

// lastABIWithoutCredentials is the last ABI whose descriptions end before the credentials.
const lastABIWithoutCredentials = 5

// describe adds the description of the sender, of a record of ABI number, to the signal. Its texts follow the fixed part: executable, cgroup,
// arguments, host name.
func (d *Decoder) describe(number uint32, signal *Signal, payload []byte) (err error) {
	if signal == nil {
		return errUndescribed
	}
	var raw abi.Description // Only for the offsets: the payload has only the used part of its 3 KB.
	fixed, hasCredentials := int(unsafe.Offsetof(raw.Data)), number > lastABIWithoutCredentials
	if !hasCredentials {
		fixed = int(unsafe.Offsetof(raw.Credentials))
	}
	if len(payload) < fixed {
		return errCutOff
	}
	hostnameBytes, programsBytes, envBytes := uint32(0), uint32(0), uint32(0)
	if hasCredentials {
		hostnameBytes = word(payload, unsafe.Offsetof(raw.HostnameBytes))
		programsBytes, envBytes = word(payload, unsafe.Offsetof(raw.ProgramsBytes)), word(payload, unsafe.Offsetof(raw.EnvBytes))
	}
	exeBytes, cgroupBytes, argsBytes := word(payload, unsafe.Offsetof(raw.ExeBytes)), word(payload, unsafe.Offsetof(raw.CgroupBytes)), word(payload, unsafe.Offsetof(raw.ArgsBytes))
	ancestorsCount := word(payload, unsafe.Offsetof(raw.AncestorsCount))
	texts := payload[fixed:]
	if uint64(exeBytes)+uint64(cgroupBytes)+uint64(argsBytes)+uint64(hostnameBytes)+uint64(programsBytes)+uint64(envBytes) > uint64(len(texts)) || ancestorsCount > uint32(len(raw.Ancestors)) {
		return errCutOff
	}
	sender := &signal.Sender
	if hasCredentials {
		at := unsafe.Offsetof(raw.Credentials)
		sender.RealUID = d.uidOrNil(word(payload, at+unsafe.Offsetof(raw.Credentials.RealUid)))
		sender.LoginUID = d.uidOrNil(word(payload, at+unsafe.Offsetof(raw.Credentials.LoginUid)))
		sender.Session = d.uidOrNil(word(payload, at+unsafe.Offsetof(raw.Credentials.Session)))
	}
	if exeBytes > 0 {
		flags := abi.PartFlag(word(payload, unsafe.Offsetof(raw.ExeFlags)))
		sender.Exe = d.path(texts[:exeBytes], flags&abi.PartFlagPART_FLAG_TRUNCATED != 0)
		sender.ExeFlags = d.exeFlags(flags)
	}
	texts = texts[exeBytes:]
	sender.Cgroup, sender.CgroupClaimed = d.cgroup(number, texts[:cgroupBytes], false)
	if argsBytes > 0 {
		sender.Args = d.arguments(texts[cgroupBytes:][:argsBytes])
	}
	texts = texts[cgroupBytes+argsBytes:]
	sender.UtsHostname = d.hostname(texts[:hostnameBytes])
	texts = texts[hostnameBytes:]
	programs := texts[:programsBytes]
	if hasCredentials {
		sender.Env = d.environment(texts[programsBytes:][:envBytes], true)
	}
	sender.ArgsTruncated = word(payload, unsafe.Offsetof(raw.ArgsTruncated)) != 0
	at := unsafe.Offsetof(raw.Ancestors)
	if sender.Ancestors, err = d.ancestorsOf(payload[at : at+uintptr(ancestorsCount)*unsafe.Sizeof(abi.Ancestor{})]); err != nil {
		return err
	}
	return d.programs(sender.Ancestors, programs)
}
