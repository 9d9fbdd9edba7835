// Command released prints the path of the loader of release 0.1.0, for tests of upgrades, or of the commit that is its argument, for the
// benchmark. The first run builds it from that commit, in the user's cache directory.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// release is the commit of release 0.1.0.
const release = "45493308c1b027a4ebe7af405a719ae985d53ada"

var fullHash = regexp.MustCompile(`^[0-9a-f]{40}$`)

func main() {
	commit := release
	if len(os.Args) > 1 {
		commit = os.Args[1]
	}
	path, err := loader(commit)
	if err != nil {
		fmt.Fprintf(os.Stderr, "could not build the loader of commit %s: %v\n", commit, err)
		os.Exit(1)
	}
	fmt.Println(path)
}

// loader returns the path of the loader of that commit. It builds it unless the cache has it; only then a full hash needs the repository.
func loader(commit string) (path string, err error) {
	if !fullHash.MatchString(commit) {
		if commit, err = git("rev-parse", "--verify", "--end-of-options", commit+"^{commit}"); err != nil {
			return "", err
		}
	}
	caches, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache := filepath.Join(caches, "whodunit", "loader-of-"+commit[:12])
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
	root, err := git("rev-parse", "--show-toplevel")
	if err != nil {
		return "", fmt.Errorf("find the repository, which must be a clone: %w", err)
	}
	built := filepath.Join(sources, "whodunit-loader")
	archive := filepath.Join(sources, "archive.tar")
	for _, command := range []*exec.Cmd{
		exec.Command("git", "-C", root, "archive", "--output", archive, commit, "loader", "go.mod", "go.sum"),
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

// git returns the output of a git command, without the newline.
func git(args ...string) (string, error) {
	output, err := exec.Command("git", args...).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return "", fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return strings.TrimSpace(string(output)), err
}
