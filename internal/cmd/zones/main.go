// Zones packs the time zones of the wheel in internal/tzdata into zones.gz, which is built into the program.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lifeboat/internal/tzdata/wheel"
)

const folder = "internal/tzdata"

func main() {
	if err := pack(); err != nil {
		fmt.Fprintln(os.Stderr, "zones:", err)
		os.Exit(1)
	}
}

func pack() error {
	wheels, err := filepath.Glob(folder + "/tzdata-*.whl")
	if err != nil || len(wheels) != 1 {
		return errors.Join(fmt.Errorf("there are %d wheels in %s, not one", len(wheels), folder), err)
	}
	text, err := os.ReadFile(wheels[0])
	if err != nil {
		return err
	}
	packed, err := wheel.Pack(text)
	if err != nil {
		return err
	}
	return os.WriteFile(folder+"/zones.gz", packed, 0o644)
}
