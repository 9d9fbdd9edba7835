// Cases of programs that are executed in special ways: setuid, static, with an interpreter, broken.
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
	headerRoom = 0x200   // the code follows the headers
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

// writeProgram writes an executable of one page with this code. interpreter: the path of its ELF interpreter; empty: static. address: its
// load address; 0: any.
func (u *undertaker) writeProgram(name string, code []byte, interpreter string, address uint64) (string, error) {
	machine := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]
	text := append([]byte(interpreter), 0)
	segments := []elf.Prog64{{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: address, Paddr: address,
		Filesz: pageBytes, Memsz: pageBytes, Align: pageBytes, // whole pages: before 6.6 the kernel zeroes the rest of the last page, even if it is not writable
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

// bareProgram has no library and no runtime, like programs of minimal container images.
func bareProgram(u *undertaker) error {
	path, err := u.writeProgram("bare", exitOf(3), "", elfBase)
	if err != nil {
		return err
	}
	return u.executed(path, "bare", "argument")
}

// dynamicProgram has an ELF interpreter that exits without starting the program. The executable of the process is still the program.
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

// brokenProgram has a load address in the kernel. execve(2) fails after the point of no return, so the kernel sends SIGSEGV.
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
	v.Exe, v.Args = path, []string{} // execve(2) failed before it set the arguments
	return u.reap(v, nil)
}

// script has mortal as its interpreter.
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
	return u.reap(v, nil)
}

func (u *undertaker) executed(path string, args ...string) error {
	v, err := u.launch(launch{exe: path, args: args})
	if err != nil {
		return err
	}
	return u.reap(v, nil)
}

// setuidCopy makes a setuid-root copy of the program.
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

// asNobody starts a program as an unprivileged user.
func asNobody() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}

// setuidVictim is started by an unprivileged user and runs as root: the record must have the effective user.
func setuidVictim(u *undertaker) error {
	path, err := u.setuidCopy(u.mortal)
	if err != nil {
		return err
	}
	v, err := u.launch(launch{exe: path, args: []string{"mortal", "exit", "3"}, attr: asNobody()})
	if err != nil {
		return err
	}
	return u.reap(v, nil)
}
