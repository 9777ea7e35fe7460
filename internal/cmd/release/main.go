// Command release makes the parts of a release that its packer takes as they are:
//
//	release notes VERSION CHANGELOG.md FILE        the section of the version; what is unreleased, if there is none
//	release template azuredeploy.json URI FILE     the template, with the package at that address as its default
//	release sbom VERSION PROGRAM FILE COMMAND...   the modules of the program, as cyclonedx-gomod says them: COMMAND begins it
//
// The same files give the same bytes, on any machine.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
)

func main() {
	err := run(context.Background(), os.Args[1:])
	switch {
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var errUsage = errors.New("usage: release notes VERSION CHANGELOG.md FILE | template azuredeploy.json URI FILE | sbom VERSION PROGRAM FILE COMMAND")

// run makes the file that the arguments name.
func run(ctx context.Context, args []string) error {
	var made []byte
	var err error
	switch {
	case len(args) == 4 && args[0] == "notes":
		made, err = change(args[2], func(text []byte) ([]byte, error) { return notes(text, args[1], runtime.Version()) })
	case len(args) == 4 && args[0] == "template":
		made, err = change(args[1], func(text []byte) ([]byte, error) { return template(text, args[2]) })
	case len(args) > 4 && args[0] == "sbom":
		made, err = sbom(ctx, args[1], args[2], args[4:])
	default:
		return errUsage
	}
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return os.WriteFile(args[3], made, 0o644)
}

// change returns what do makes of the file.
func change(file string, do func([]byte) ([]byte, error)) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return do(text)
}

// notes returns what CHANGELOG.md says of the version, and how to check that the files are of this commit.
func notes(changelog []byte, version, toolchain string) ([]byte, error) {
	number := strings.TrimPrefix(version, "v")
	said, found := section(string(changelog), number)
	if !found {
		if said, found = section(string(changelog), "Unreleased"); !found {
			return nil, fmt.Errorf("CHANGELOG.md has neither a section [%s] nor [Unreleased]", number)
		}
	}
	return fmt.Appendf(nil, `%s

### Check the files

`+"`checksums.txt`"+` has the SHA-256 of every file. A clone of the tag %s makes the same files, byte for byte:
`+"`GOTOOLCHAIN=%s make release VERSION=%s`"+`, with the same `+"`URL=`"+` for azuredeploy.json.
`, said, version, toolchain, version), nil
}

// section returns the part of a changelog under the heading of that version, and whether there is one.
func section(changelog, version string) (string, bool) {
	heading := regexp.MustCompile(`(?m)^## \[` + regexp.QuoteMeta(version) + `\].*\n`).FindStringIndex(changelog)
	if heading == nil {
		return "", false
	}
	part, _, _ := strings.Cut(changelog[heading[1]:], "\n## ")
	part, _, _ = strings.Cut(part, "\n[") // the links at the end
	return strings.TrimSpace(part), true
}

// template returns an ARM template whose parameter packageUri has this default. Nothing else changes, not even a space: a reader
// can compare it with the file of the repository.
func template(text []byte, uri string) ([]byte, error) {
	begin, end, err := find(text, "parameters", "packageUri", "defaultValue")
	if err != nil {
		return nil, err
	}
	value, err := json.Marshal(uri)
	if err != nil {
		return nil, err
	}
	return append(append(bytes.Clone(text[:begin]), value...), text[end:]...), nil
}

// find returns where the value at this path of names begins and ends in a JSON text.
func find(text []byte, path ...string) (begin, end int, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	var value json.RawMessage
	for _, name := range path {
		if t, err := d.Token(); err != nil || t != json.Delim('{') {
			return 0, 0, fmt.Errorf("what should have %s is no object", name)
		}
		for {
			key, err := d.Token()
			if err != nil || key == json.Delim('}') {
				return 0, 0, fmt.Errorf("there is no %s", strings.Join(path, "."))
			}
			if key == name {
				break
			}
			if err := d.Decode(&value); err != nil {
				return 0, 0, err
			}
		}
	}
	if err := d.Decode(&value); err != nil {
		return 0, 0, err
	}
	end = int(d.InputOffset())
	return end - len(value), end, nil
}

// sbom returns the CycloneDX document of a program. cyclonedx-gomod 1.10 writes the hashes of its own binary into it, which are
// others on each kind of machine, and gives the address of each module the GOOS and GOARCH of the machine and not those of the
// program: the hashes go, and the addresses are short.
func sbom(ctx context.Context, version, program string, command []string) ([]byte, error) {
	command = append(command, "bin", "-json", "-noserial", "-notimestamp", "-short-purls", "-std", "-version", version, program)
	c := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // the command is the Makefile's
	c.Stderr = os.Stderr
	said, err := c.Output()
	if err != nil {
		return nil, err
	}
	var document map[string]any
	if err := json.Unmarshal(said, &document); err != nil {
		return nil, err
	}
	metadata, _ := document["metadata"].(map[string]any)
	tools, _ := metadata["tools"].([]any)
	if len(tools) == 0 {
		return nil, errors.New("the document names no tool that made it")
	}
	for _, tool := range tools {
		if tool, ok := tool.(map[string]any); ok {
			delete(tool, "hashes")
		}
	}
	made, err := json.MarshalIndent(document, "", "  ")
	return append(made, '\n'), err
}
