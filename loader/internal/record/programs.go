// SPDX-License-Identifier: Apache-2.0

package record

import (
	"unsafe"

	"whodunit/loader/internal/abi"
)

// programs adds what each of the ancestors executed. The list (PART_PROGRAMS) has them in the same order.
func (d *Decoder) programs(ancestors []Ancestor, payload []byte) error {
	var ofParent [len(abi.Description{}.Ancestors)]bool
	for i := 0; len(payload) > 0 && i < min(len(ancestors), len(ofParent)); i++ {
		listed, rest, err := take[abi.ListedProgram](payload)
		bytes := int(listed.ExeBytes) + int(listed.ArgsBytes)
		if err != nil || bytes > len(rest) {
			return errCutOff
		}
		flags := abi.ProgramFlag(listed.Flags)
		ancestors[i].StartBoottimeNs = listed.StartBoottimeNs
		ofParent[i] = flags&abi.ProgramFlagPROGRAM_OF_PARENT != 0
		if flags&(abi.ProgramFlagPROGRAM_OF_PARENT|abi.ProgramFlagPROGRAM_UNKNOWN) == 0 {
			d.program(&ancestors[i], &listed, rest[:bytes])
		}
		payload = rest[min(len(rest), padded(int(unsafe.Sizeof(listed))+bytes)-int(unsafe.Sizeof(listed))):]
	}
	// From the farthest on: a process that forked and never executed runs its parent's program, which may be that of its own parent.
	for i := len(ancestors) - 2; i >= 0; i-- {
		if i < len(ofParent) && ofParent[i] {
			parent := &ancestors[i+1]
			ancestors[i].Exe, ancestors[i].Args, ancestors[i].ArgsTruncated = parent.Exe, parent.Args, parent.ArgsTruncated
			ancestors[i].UID, ancestors[i].LoginUID = parent.UID, parent.LoginUID
		}
	}
	return nil
}

func (d *Decoder) program(ancestor *Ancestor, listed *abi.ListedProgram, texts []byte) {
	flags := abi.ProgramFlag(listed.Flags)
	exe, args := texts[:listed.ExeBytes], texts[listed.ExeBytes:]
	if len(exe) > 0 {
		ancestor.Exe = d.path(exe, flags&abi.ProgramFlagPROGRAM_EXE_CUT != 0)
	}
	ancestor.Args = d.arguments(args)
	ancestor.ArgsTruncated = flags&abi.ProgramFlagPROGRAM_ARGS_CUT != 0
	ancestor.UID, ancestor.LoginUID = d.uidOrNil(listed.Uid), d.uidOrNil(listed.LoginUid)
}

// padded rounds up to a multiple of 8.
func padded(bytes int) int { return (bytes + 7) &^ 7 }
