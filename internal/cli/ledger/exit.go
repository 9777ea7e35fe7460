package ledger

import (
	"cmp"
	"context"
	"errors"

	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
)

// The exit codes, beside 0, and 2 for a wrong use. The code 1 says that nothing is known: the copy could not be read.
const (
	codeNotProven = 3
	codeStopped   = 130
)

// exitCodes says in the help what they mean.
const exitCodes = `It is 1 if nothing was checked, because the copy could not be read or is several
copies, and 130 if you stopped the command.`

// judged gives the outcome of a copy that was read its own exit code.
func judged(err error) error {
	if err == nil {
		return nil
	}
	return usage.Exit{Code: codeNotProven, Text: err.Error() + "\n"}
}

// stopped tells a person that stopped the command that it has no answer.
func stopped(ctx context.Context, name string, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return usage.Exit{Code: codeStopped, Text: text.Plain(name) + ": stopped: nothing was proven\n"}
	}
	return cmp.Or(err, ctx.Err())
}
