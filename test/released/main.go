// Command released prints the path of the loader of release 0.1.0, for tests of upgrades. The first run builds it, from the commit of that
// release, in the user's cache directory.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	version = "0.1.0"
	commit  = "45493308c1b027a4ebe7af405a719ae985d53ada"
)

func main() {
	path, err := loader()
	if err != nil {
		fmt.Fprintf(os.Stderr, "could not build the loader of release %s: %v\n", version, err)
		os.Exit(1)
	}
	fmt.Println(path)
}

// loader returns the path of the loader. It builds it unless the cache has it.
func loader() (path string, err error) {
	caches, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache := filepath.Join(caches, "whodunit", "loader-"+version+"-"+commit[:12])
	path = filepath.Join(cache, "whodunit-loader")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	sources, err := os.MkdirTemp(cache, "sources-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(sources)
	root, err := exec.Command("git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return "", fmt.Errorf("find the repository, which must be a clone: %w", err)
	}
	built := filepath.Join(sources, "whodunit-loader")
	archive := filepath.Join(sources, "archive.tar")
	for _, command := range []*exec.Cmd{
		exec.Command("git", "-C", strings.TrimSpace(string(root)), "archive", "--output", archive, commit, "loader", "go.mod", "go.sum"),
		exec.Command("tar", "--extract", "--file", archive, "--directory", sources),
		exec.Command("go", "build", "-C", sources, "-trimpath", "-o", built, "./loader"),
	} {
		command.Env = append(os.Environ(), "CGO_ENABLED=0")
		if output, err := command.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w\n%s", command, err, output)
		}
	}
	return path, os.Rename(built, path)
}
