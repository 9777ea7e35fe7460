package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"lifeboat/internal/testing/overlay"
)

// errNoGo says that the bug does not compile.
var errNoGo = errors.New("it does not compile")

// slowest is the time that the tests of one package may take: a bug that makes them stand still is caught by that.
const slowest = "12m"

// meet runs the tests of the packages one after the other with the bug in the code, and returns the package whose tests fail, "" if
// none do. Parts are the arguments of go test for one part of the tests after the other; a part meets all packages. The folder is for this bug only.
func (s site) meet(ctx context.Context, dir string, packages []string, parts [][]string) (caught string, err error) {
	text, err := os.ReadFile(s.file)
	if err != nil {
		return "", err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	replaced, err := overlay.Write(dir, s.file, s.apply(text))
	if err != nil {
		return "", err
	}
	if out, err := exec.CommandContext(ctx, "go", "vet", "-overlay", replaced, "-copylocks", s.pkg).CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("%w\n%s", context.Cause(ctx), out)
		}
		return "", errNoGo
	}
	for _, part := range parts {
		for _, pkg := range packages {
			arguments := slices.Concat([]string{"test", "-overlay", replaced, "-vet=off", "-failfast", "-timeout", slowest, "-p", "1"}, part, []string{pkg})
			out, err := exec.CommandContext(ctx, "go", arguments...).CombinedOutput()
			switch {
			case err == nil:
			case ctx.Err() != nil:
				return "", context.Cause(ctx)
			case strings.Contains(string(out), "[build failed]"), strings.Contains(string(out), "[setup failed]"):
				return "", fmt.Errorf("build the tests of %s: %w\n%s", pkg, err, out)
			default:
				return strings.TrimPrefix(pkg, "./"), nil
			}
		}
	}
	return "", nil
}

// parts returns the parts of the tests: the tests that match last come behind all others, or not at all.
func parts(last string, quick bool) [][]string {
	switch {
	case last == "":
		return [][]string{nil}
	case quick:
		return [][]string{{"-skip", last}}
	}
	return [][]string{{"-skip", last}, {"-run", last}}
}

// source returns the line of the bug, as it is without it.
func (s site) source() (string, error) {
	text, err := os.ReadFile(s.file)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(strings.Split(string(text), "\n")[s.line-1]), nil
}
