package realhost

import (
	"errors"
	"os"
	"os/exec"
)

// Program is the host that was found on this machine.
type Program struct {
	path      string
	coreTools bool // func start, and not functions-host APPDIR PORT VAR=VALUE…
}

// ErrNotFound says in one line how to get a host.
var ErrNotFound = errors.New("there is no Azure Functions host here: put a command functions-host APPDIR PORT VAR=VALUE… that starts " +
	"Microsoft.Azure.WebJobs.Script.WebHost onto the PATH, or its path into FUNCTIONS_HOST, or install Azure Functions Core Tools (func)")

// Find looks for functions-host on the PATH, then at the path in FUNCTIONS_HOST, then for func of Core Tools on the PATH. Its
// error is ErrNotFound.
func Find() (Program, error) {
	if path, err := exec.LookPath("functions-host"); err == nil {
		return Program{path: path}, nil
	}
	if path := os.Getenv("FUNCTIONS_HOST"); path != "" {
		return Program{path: path}, nil
	}
	if path, err := exec.LookPath("func"); err == nil {
		return Program{path: path, coreTools: true}, nil
	}
	return Program{}, ErrNotFound
}
