// SPDX-License-Identifier: Apache-2.0

package image

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
)

const (
	htlPartBytes = 4096
	htlHashBytes = 16
)

// HTLHash returns OpenTelemetry's process.executable.build_id.htlhash, in hex: of head, tail and length of the file. Profilers name files by it,
// which need not have a build id.
func HTLHash(file io.ReaderAt, bytes int64) (string, error) {
	part := min(bytes, htlPartBytes)
	hash := sha256.New()
	for _, at := range []int64{0, bytes - part} {
		if _, err := io.CopyN(hash, io.NewSectionReader(file, at, part), part); err != nil {
			return "", err
		}
	}
	hash.Write(binary.BigEndian.AppendUint64(nil, uint64(bytes)))
	return hex.EncodeToString(hash.Sum(nil)[:htlHashBytes]), nil
}
