// Cases of programs that differ in how they are executed: setuid, without any library, with an interpreter, broken.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

const (
	elfBase    = 0x400000
	pageBytes  = 0x10000 // the largest page of both architectures
	headerRoom = 0x200   // the code lies behind the headers
)

// exitOf is machine code for exit_group(code).
func exitOf(code byte) []byte {
	if runtime.GOARCH == "arm64" {
		// mov x8, #94; mov x0, #code; svc #0
		instructions := []uint32{0xd2800bc8, 0xd2800000 | uint32(code)<<5, 0xd4000001}
		return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(
			binary.LittleEndian.AppendUint32(nil, instructions[0]), instructions[1]), instructions[2])
	}
	// mov edi, code; mov eax, 231; syscall
	return []byte{0xbf, code, 0, 0, 0, 0xb8, 231, 0, 0, 0, 0x0f, 0x05}
}

// writeProgram writes an executable of one page that holds this code alone. interpreter: its loader; empty: it is static. address: where
// it wants to lie; 0: anywhere.
func (u *undertaker) writeProgram(name string, code []byte, interpreter string, address uint64) (string, error) {
	machine := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]
	text := append([]byte(interpreter), 0)
	segments := []elf.Prog64{{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: address, Paddr: address,
		Filesz: pageBytes, Memsz: pageBytes, Align: pageBytes, // whole pages: before 6.6 the kernel fills up the last one, writable or not
	}}
	var image bytes.Buffer
	headerBytes, segmentBytes := binary.Size(elf.Header64{}), binary.Size(elf.Prog64{})
	if interpreter != "" {
		at := uint64(headerBytes + 2*segmentBytes)
		segments = append([]elf.Prog64{{
			Type: uint32(elf.PT_INTERP), Flags: uint32(elf.PF_R), Off: at, Vaddr: address + at,
			Filesz: uint64(len(text)), Memsz: uint64(len(text)), Align: 1,
		}}, segments...)
	}
	header := elf.Header64{
		Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Entry: address + headerRoom,
		Phoff: uint64(headerBytes), Ehsize: uint16(headerBytes), Phentsize: uint16(segmentBytes), Phnum: uint16(len(segments)),
	}
	if address == 0 {
		header.Type = uint16(elf.ET_DYN)
	}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS], header.Ident[elf.EI_DATA] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB)
	header.Ident[elf.EI_VERSION] = byte(elf.EV_CURRENT)
	for _, part := range []any{header, segments} {
		if err := binary.Write(&image, binary.LittleEndian, part); err != nil {
			return "", err
		}
	}
	if interpreter != "" {
		image.Write(text)
	}
	image.Write(make([]byte, headerRoom-image.Len()))
	image.Write(code)
	image.Write(make([]byte, pageBytes-image.Len()))
	path := filepath.Join(u.workDir, name)
	return path, os.WriteFile(path, image.Bytes(), 0o755)
}

// bareProgram has no library and no runtime, as the smallest container images have them.
func bareProgram(u *undertaker) error {
	path, err := u.writeProgram("bare", exitOf(3), "", elfBase)
	if err != nil {
		return err
	}
	return u.executed(path, "bare", "argument")
}

// dynamicProgram is loaded by an interpreter, which never hands over: the victim is the program all the same.
func dynamicProgram(u *undertaker) error {
	loader, err := u.writeProgram("loader", exitOf(4), "", 0)
	if err != nil {
		return err
	}
	path, err := u.writeProgram("dynamic", exitOf(3), loader, elfBase)
	if err != nil {
		return err
	}
	return u.executed(path, "dynamic")
}

// brokenProgram wants to lie where the kernel does: found out when there is no way back, so that execve(2) ends with SIGSEGV.
func brokenProgram(u *undertaker) error {
	path, err := u.writeProgram("broken", exitOf(3), "", 0xffff_8000_0000_0000)
	if err != nil {
		return err
	}
	pathBytes := u.hold(append([]byte(path), 0))
	arguments := u.pointers(pathBytes, 0)
	v, err := u.bare(0, u.defaultAction(syscall.SIGSEGV), execve(pathBytes, arguments, u.pointers(0)), exitGroup(anExitOf1))
	if err != nil {
		return err
	}
	v.Exe, v.Args = path, []string{} // it did not come to having any
	return u.bury(v, nil)
}

// script is executed by mortal, whose name stands in its first line.
func script(u *undertaker) error {
	path := filepath.Join(u.workDir, "script")
	if err := os.WriteFile(path, []byte("#!"+u.mortal+" segfault\n"), 0o755); err != nil {
		return err
	}
	v, err := u.launch(launch{exe: path, args: []string{"script"}})
	if err != nil {
		return err
	}
	v.Exe, v.Args = u.mortal, []string{u.mortal, "segfault", path}
	return u.bury(v, nil)
}

func (u *undertaker) executed(path string, args ...string) error {
	v, err := u.launch(launch{exe: path, args: args})
	if err != nil {
		return err
	}
	return u.bury(v, nil)
}

// setuidCopy is a copy of the program that runs as root for every user.
func (u *undertaker) setuidCopy(program string) (string, error) {
	text, err := os.ReadFile(program)
	if err != nil {
		return "", err
	}
	path := filepath.Join(u.workDir, filepath.Base(program)+"-setuid")
	if err := os.WriteFile(path, text, 0o755); err != nil {
		return "", err
	}
	return path, os.Chmod(path, 0o755|os.ModeSetuid)
}

// asNobody starts a program as an ordinary user.
func asNobody() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}

// setuidVictim is started by an ordinary user and runs as root: the record names the effective user.
func setuidVictim(u *undertaker) error {
	path, err := u.setuidCopy(u.mortal)
	if err != nil {
		return err
	}
	v, err := u.launch(launch{exe: path, args: []string{"mortal", "exit", "3"}, attr: asNobody()})
	if err != nil {
		return err
	}
	return u.bury(v, nil)
}
