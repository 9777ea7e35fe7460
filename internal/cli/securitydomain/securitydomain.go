// Package securitydomain says, for people, whether private keys open the security domain of a Managed HSM.
package securitydomain

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
	"lifeboat/internal/services/managedhsm/securitydomain"
)

// Shell is the environment of the command.
type Shell struct {
	Stdout, Stderr io.Writer
	// Now tells the time: the report says which certificates have expired.
	Now func() time.Time
	// Width returns the columns of the terminal; 0 means any number.
	Width func() int
	// Version is the version of the program's source.
	Version string
	// Password asks a person; it returns nil if there is no terminal.
	Password func(ctx context.Context, prompt string) ([]byte, error)
}

// The exit codes, beside 0.
const (
	codeUsage     = 1
	codeNoQuorum  = 2
	codeNotProven = 3
)

// forms are the forms of the answer.
var forms = []string{"table", "json"}

// Command returns the command security-domain.
func Command(sh Shell) *cobra.Command {
	group := usage.Group(&cobra.Command{
		Use: "security-domain", Short: "Says which keys open the security domain of a Managed HSM",
		Example: "  lifeboat security-domain check domain.json --key alice.key --key bob.key",
	})
	unknown := group.RunE
	group.RunE = func(c *cobra.Command, args []string) error { return misused(unknown(c, args)) }
	group.AddCommand(sh.checkCommand())
	return group
}

// misused gives a wrong use its own exit code, since 2 says here that there is no quorum.
func misused(err error) error {
	if wrong, ok := errors.AsType[usage.Error](err); ok {
		return usage.Exit{Code: codeUsage, Text: wrong.Error()}
	}
	return err
}

// flags are the flags of a check.
type flags struct {
	keys, certificates     []string
	passwords, attestation string
	statement              string
	alone                  bool
	form                   string
}

func (sh Shell) checkCommand() *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Says whether keys open a security domain, without Azure",
		Long: `Says whether a quorum of keys opens a security domain: the file that the
activation of a Managed HSM downloaded, without which no backup of that HSM can
be restored. It says which holders the file has, opens the share of each key
that you give, and checks with a quorum of them that all three enclosed parts
are undamaged, and whose they are. It names the share, the part or the key that
is bad. It needs neither the service nor the network.

With --holder one person checks one key: no two keys need to meet. With
--statement a good check is written to a new file, without secrets, and signed
by each key that opened a share.

A key is a PEM file: PKCS #1, PKCS #8, PBES2, or the older encryption of
OpenSSL. The command asks for passwords, or reads them, one a line, from the
file of --password-file. Certificates only give names and dates. An expired one
is no fault: Azure takes it. With --attestation the command compares the file
with the HSM itself.

The exit code is 0 if the security domain can be recovered, and with --holder if
the key opens its share. It is 2 if too few keys open a share, 3 if something is
damaged or unreadable, or if a key is bad, and 1 if the arguments cannot be
used.`,
		Example: `  lifeboat security-domain check domain.json --key alice.key --key bob.key
  lifeboat security-domain check domain.json --key alice.key --holder
  lifeboat security-domain check domain.json --key bob.key --holder --statement bob.json
  lifeboat security-domain check domain.json --key alice.key --key bob.key -o json`,
		Args: func(c *cobra.Command, args []string) error { return misused(usage.Exactly("FILE")(c, args)) },
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveDefault
		},
	}
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return misused(usage.WrongFlag(c, err)) })
	c.Flags().StringArrayVar(&f.keys, "key", nil, "a `FILE` with a private key; may be repeated")
	c.Flags().StringArrayVar(&f.certificates, "certificate", nil, "a `FILE` with a certificate, for the name")
	c.Flags().StringVar(&f.passwords, "password-file", "", "a `FILE` with the passwords of keys, one a line")
	c.Flags().StringVar(&f.attestation, "attestation", "", "a `FILE` with the attestation of a key of the HSM")
	c.Flags().StringVar(&f.statement, "statement", "", "write a signed statement to this new `FILE`")
	c.Flags().BoolVar(&f.alone, "holder", false, "check the share of one key alone")
	c.Flags().StringVarP(&f.form, "output", "o", forms[0], strings.Join(forms, " or "))
	for _, name := range []string{"key", "certificate", "password-file", "attestation", "statement"} {
		_ = c.RegisterFlagCompletionFunc(name, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		})
	}
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(forms, cobra.ShellCompDirectiveNoFileComp))
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.check(c); err != nil {
			return misused(err)
		}
		return sh.check(c.Context(), args[0], f)
	}
	return c
}

// mostKeys is more than ten holders have, and bounds the work.
const mostKeys = 20

func (f flags) check(c *cobra.Command) error {
	switch {
	case !slices.Contains(forms, f.form):
		return usage.Misuse(c, "-o is one of %s", strings.Join(forms, ", "))
	case f.alone && len(f.keys) != 1:
		return usage.Misuse(c, "--holder wants one --key: no two keys need to meet")
	case f.statement != "" && there(f.statement):
		return usage.Misuse(c, "%s is there already, and nothing is written over it", f.statement)
	case len(f.keys) > mostKeys || len(f.certificates) > mostKeys:
		return usage.Misuse(c, "at most %d keys and as many certificates are read", mostKeys)
	}
	return nil
}

func (sh Shell) check(ctx context.Context, name string, f flags) error {
	content, _, err := read(name, domainFile)
	if err != nil {
		return sh.answer(f, refused(name, nil, err))
	}
	file, err := securitydomain.Parse(content)
	if err != nil {
		return sh.answer(f, refused(name, content, err))
	}
	var report securitydomain.Report
	var statement []byte
	privately(func() { report, statement, err = sh.open(ctx, name, file, f) })
	if err == nil && statement != nil {
		err = create(f.statement, statement)
	}
	if err != nil {
		return usage.Exit{Code: codeUsage, Text: err.Error() + "\n"}
	}
	return sh.answer(f, report)
}

// open reads the keys, checks the file with them, has them sign, and clears them.
func (sh Shell) open(ctx context.Context, name string, file *securitydomain.File, f flags) (r securitydomain.Report, statement []byte, err error) {
	o := securitydomain.Options{Alone: f.alone}
	if o.Certificates, err = certificates(f.certificates); err != nil {
		return r, nil, err
	}
	if o.Attestation, err = attestation(f.attestation); err != nil {
		return r, nil, err
	}
	ring := keyring{sh: sh}
	defer ring.clear()
	if err := ring.readPasswords(f.passwords); err != nil {
		return r, nil, err
	}
	for _, path := range f.keys {
		if err := ring.add(ctx, path); err != nil {
			return r, nil, err
		}
	}
	r = file.Check(name, ring.keys, o)
	for _, path := range ring.exposed {
		r.Warn(securitydomain.KeyExposed, path+" can be read by others on this machine: take the right from them, with chmod 600")
	}
	if f.statement != "" && exitCode(r, f.alone) == 0 {
		statement, err = securitydomain.Sign(rand.Reader, r, ring.keys, o.Certificates, sh.Now(), "lifeboat "+sh.Version)
	}
	return r, statement, err
}

// answer prints the report, and returns the exit code with its reason.
func (sh Shell) answer(f flags, r securitydomain.Report) error {
	var err error
	if f.form == "json" {
		err = sh.document(r)
	} else {
		err = sh.table(r, f.alone)
	}
	if err != nil {
		return usage.Exit{Code: codeUsage, Text: err.Error() + "\n"}
	}
	if code := exitCode(r, f.alone); code != 0 {
		why := text.Plain(r.Name) + ": " + summary(r, f.alone) + "\n"
		if f.statement != "" {
			why += "no statement was written\n"
		}
		return usage.Exit{Code: code, Text: why}
	}
	return nil
}

// exitCode returns the exit code for a report.
func exitCode(r securitydomain.Report, alone bool) int {
	switch {
	case r.Outcome == securitydomain.Recoverable && len(r.Errors) == 0:
		return 0
	case r.Outcome == securitydomain.QuorumNotReached && alone && len(r.Errors) == 0 && r.Opened > 0:
		return 0
	case r.Outcome == securitydomain.QuorumNotReached:
		return codeNoQuorum
	}
	return codeNotProven
}

// summary says the outcome in one sentence.
func summary(r securitydomain.Report, alone bool) string {
	opened := fmt.Sprintf("%d of %s opened", r.Opened, text.Count(len(r.Holders), "share"))
	switch {
	case r.Outcome == securitydomain.Unreadable:
		return "unreadable"
	case r.Outcome == securitydomain.Damaged:
		return "damaged: " + text.Count(len(r.Errors), "error") + ", " + opened
	case r.Outcome == securitydomain.Recoverable && len(r.Errors) > 0:
		return "recoverable, with " + text.Count(len(r.Errors), "error") + ": " + opened + ", and the quorum is " + fmt.Sprint(r.Quorum)
	case r.Outcome == securitydomain.Recoverable:
		return "recoverable: " + opened + ", the quorum is " + fmt.Sprint(r.Quorum) + ", and all parts are authentic"
	case alone && r.Opened > 0:
		return "quorum-not-reached: the one key, tried alone, opens share " + fmt.Sprint(r.Keys[0].Opens[0]) + " of " + fmt.Sprint(len(r.Holders))
	}
	return "quorum-not-reached: " + opened + ", and the quorum is " + fmt.Sprint(r.Quorum)
}

func (sh Shell) document(r securitydomain.Report) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(sh.Stdout, "%s\n", content)
	return err
}
