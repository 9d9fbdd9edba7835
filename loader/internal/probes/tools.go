// SPDX-License-Identifier: Apache-2.0

package probes

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"

	"whodunit/loader/internal/abi"
)

// toolsFile lists the tools by which people ask others to act; it says how.
//
//go:embed tools.txt
var toolsFile string

// toolNameBytesMax leaves room for one more byte and the NUL: a longer name that the probes cut is none of the list.
const toolNameBytesMax = len(abi.ToolName{}.Text) - 2

// readTools reads a list of tools.
func readTools(list string) ([]ebpf.MapKV, error) {
	var tools []ebpf.MapKV
	for line := range strings.Lines(list) {
		line, _, _ = strings.Cut(line, "#")
		name, kind := strings.TrimSpace(line), abi.ToolKindTOOL_ASKS
		if rest, found := strings.CutPrefix(name, "+ "); found {
			name, kind = rest, abi.ToolKindTOOL_ASKS|abi.ToolKindTOOL_MANY
		} else if rest, found := strings.CutPrefix(name, "- "); found {
			name, kind = rest, abi.ToolKindTOOL_MANY
		}
		if name == "" {
			continue
		}
		if len(name) > toolNameBytesMax {
			return nil, fmt.Errorf("list of tools: %q has %d bytes; the limit is %d", name, len(name), toolNameBytesMax)
		}
		var key abi.ToolName
		for i := range len(name) {
			key.Text[i] = int8(name[i])
		}
		tools = append(tools, ebpf.MapKV{Key: key, Value: uint32(kind)})
	}
	return tools, nil
}

// fillTools has the list loaded into the map of tools.
func fillTools(spec *ebpf.CollectionSpec) (err error) {
	tools := spec.Maps[bpfMapTools]
	if tools.Contents, err = readTools(toolsFile); err != nil {
		return err
	}
	if len(tools.Contents) > int(tools.MaxEntries) {
		return fmt.Errorf("list of tools: it has %d names; the limit is %d", len(tools.Contents), tools.MaxEntries)
	}
	return nil
}
