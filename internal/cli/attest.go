package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
)

// attestCommand stores statements that security-domain check wrote.
func (sh Shell) attestCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "attest TARGET STATEMENT...", Short: "Stores statements of checks, for the health of the HSM",
		Long: `Stores statements that lifeboat security-domain check --statement wrote, in the
app at LIFEBOAT_URL. The app checks the signatures, and says what is proven by
then. From then on health tells when the proof grows old: after the time that
hsm.securityDomain.every in the plan says. The same statement again changes
nothing.

With --anew they take the place of all earlier ones: the HSM has a new security
domain, or its holders have a new file.`,
		Example: `  lifeboat security-domain attest contoso-hsm meeting.json
  lifeboat security-domain attest contoso-hsm alice.json carol.json
  lifeboat security-domain attest contoso-hsm meeting.json --anew`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usage.Misuse(c, "it wants TARGET and at least one STATEMENT")
			}
			return nil
		},
	}
	targets := sh.first(targetWords)
	c.ValidArgsFunction = func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return targets(c, args, begun)
	}
	anew := c.Flags().Bool("anew", false, "forget all that earlier statements said")
	c = sh.calling(c, func(ctx context.Context, r remote, args []string) error {
		return r.attest(ctx, args[0], args[1:], *anew)
	})
	c.GroupID = "" // it stands beside check
	return c
}

// largestStatement is the most that the API takes, with the rest of its body.
const largestStatement = 60 << 10

// attest sends each statement, all under the ID of one request: so the first alone begins anew.
func (r remote) attest(ctx context.Context, name string, files []string, anew bool) error {
	statements := make([]json.RawMessage, 0, len(files))
	for _, path := range files {
		content, err := readStatement(path)
		if err != nil {
			return err
		}
		statements = append(statements, content)
	}
	target, err := r.target(ctx, name)
	if err != nil {
		return err
	}
	var last client.Answer
	var v api.Attested
	for i, statement := range statements {
		body := map[string]any{"target": target, "statement": statement, "anew": anew}
		a, err := r.Do(ctx, client.Call{Method: http.MethodPost, Path: "/api/security-domains", Body: body, RequestID: r.RequestID})
		if err != nil {
			return fmt.Errorf("%s: %w", files[i], err)
		}
		last = a
		if v, err = read(a.Body, "says nothing about the statement", func(v api.Attested) bool { return v.Custody.Status != "" }); err != nil {
			return err
		}
	}
	return r.show(last.Body, []string{v.Target}, func() error {
		p := v.Custody
		line := r.custody(backup.Proof{Status: p.Status, Proven: p.Proven, Holders: p.Holders, Quorum: p.Quorum, Of: p.Of, Until: p.Until})
		if p.Reason != nil {
			line += "\n" + client.InWords(*p.Reason)
		}
		_, err := fmt.Fprintln(r.Stdout, line)
		return err
	})
}

// readStatement reads a file that has JSON, of a size that the API takes.
func readStatement(path string) (json.RawMessage, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, largestStatement+1))
	switch {
	case err != nil:
		return nil, err
	case len(content) > largestStatement:
		return nil, fmt.Errorf("%s has more than %d bytes, and is no statement", path, largestStatement)
	case !json.Valid(content):
		return nil, fmt.Errorf("%s is no JSON, and no statement: lifeboat security-domain check --statement writes one", path)
	}
	return content, nil
}

// custody says in words how many of how many have proven it, and when.
func (r remote) custody(p backup.Proof) string {
	line := string(p.Status)
	if p.Of > 0 {
		line += fmt.Sprintf(": %d of %d holders, the quorum is %d", p.Holders, p.Of, p.Quorum)
	}
	if !p.Proven.IsZero() {
		line += ", last proven " + r.clock.At(p.Proven)
	}
	if !p.Until.IsZero() {
		line += ", too old from " + r.clock.At(p.Until)
	}
	return text.Plain(line)
}
