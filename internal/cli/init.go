package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lifeboat/internal/backup"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
	"lifeboat/internal/pattern"
)

// initial has the flags of lifeboat init.
type initial struct {
	output, plan, account string
	subscriptions         []string
}

func (sh Shell) initCommand() *cobra.Command {
	var q initial
	c := &cobra.Command{
		Use: "init", GroupID: ofPlan, Short: "Writes a plan.yaml for the services that no plan has",
		Long: `Searches the subscriptions that you may read, or the given ones, for services
that Lifeboat backs up, and writes a plan.yaml of them, without the ones in the
file after --plan. Each has a plan and a container of its own, at a time of its
own. The file passes lifeboat plan check. Its comments tell which services it
leaves out, with the reason.

It asks Azure Resource Graph with the sign-in here (az login), which is some
minutes late, and changes nothing in Azure. It never writes over a file.`,
		Example: `  lifeboat init -o first.yaml
  lifeboat init -o more.yaml --plan plan.yaml --subscription 0c0ffee0-0000-4000-8000-000000000001`,
		Args: usage.None,
		PreRunE: func(c *cobra.Command, _ []string) error {
			for _, id := range q.subscriptions {
				if !backup.IsUUID(id) {
					return usage.Misuse(c, "--subscription: %q is not the ID of a subscription, which is a GUID", id)
				}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return sh.init(c.Context(), q) },
	}
	flags := c.Flags()
	flags.StringVarP(&q.output, "output", "o", "plan.yaml", "write it to this `FILE`")
	flags.Func("subscription", "search the subscription of this `ID`, again for more", func(id string) error { // a list of pflag's brings its CSV along
		q.subscriptions = append(q.subscriptions, id)
		return nil
	})
	flags.StringVar(&q.plan, "plan", "", "leave out what this `FILE` has")
	flags.StringVar(&q.account, "account", "", "the resource `ID` of the storage account")
	_ = c.MarkFlagFilename("output")
	_ = c.MarkFlagFilename("plan")
	return c
}

// init writes a plan.yaml of the services that it finds.
func (sh Shell) init(ctx context.Context, q initial) error {
	var covered []backup.Plan
	if q.plan != "" {
		var err error
		if covered, _, err = sh.Plans.File(q.plan, 1); err != nil {
			return err
		}
	}
	there, err := sh.Find(ctx, sh.Getenv, q.subscriptions)
	if f, ok := errors.AsType[*backup.Fault](err); ok {
		if f.Code == "NoIdentityToken" {
			f.Hint = signIn
		}
		err = fmt.Errorf("%w\n  %s", f, f.Hint)
	}
	if err != nil {
		return err
	}
	for _, id := range q.subscriptions {
		if !there.Looked(id) {
			return fmt.Errorf("nothing of the subscription %s is shown: it needs your role Reader there; a new one takes a while until it shows", id)
		}
	}
	if len(there.Subscriptions) == 0 {
		return errors.New("no subscription is shown to the sign-in here: " + strings.ToLower(signIn[:1]) + signIn[1:])
	}
	s := starter{Services: sh.Plans.Services, account: q.account, at: sh.Now}
	content := s.write(there, there.Without(covered), q.plan)
	if _, _, err := sh.Plans.Parse(q.output, []byte(content)); err != nil {
		return err // such as an account that is none
	}
	err = create(q.output, []byte(content))
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s is there already, and was left alone: say -o with another name", q.output)
	case err != nil:
		return err
	}
	_, err = fmt.Fprintf(sh.Stdout, "%s written: %s in %s, %d left out\n", q.output, text.Count(s.taken, "service"),
		text.Count(len(there.Subscriptions), "subscription"), s.left)
	return err
}

// signIn is the advice to a person without a sign-in.
const signIn = "Sign in with az login, or set AZURE_CLIENT_ID and the variables that belong to it."

// starter writes a first plan.yaml.
type starter struct {
	backup.Services
	account string
	at      time.Time

	taken, left int
	names       map[string]bool // each is of a plan and its container
}

// placeholder stands for a storage account that is not known yet.
const placeholder = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-lifeboat-backups/providers/" +
	"Microsoft.Storage/storageAccounts/replacethis"

// write returns the text of the file.
func (s *starter) write(there backup.Inventory, found []backup.Found, other string) string {
	s.names = map[string]bool{}
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("# Made by lifeboat init at %s, of what Azure Resource Graph shows.", s.at.UTC().Format(time.RFC3339))
	say("# Looked through: %s.", strings.Join(there.Subscriptions, ", "))
	say("# What you may not read there is missing. Next: lifeboat plan check --live, and lifeboat plan push.")
	if n := len(there.Services) - len(found); n > 0 {
		say("# Left out: %s that %s has.", text.Count(n, "service"), comment(other))
		s.left += n
	}
	var fit, unfit []backup.Found
	for _, f := range found {
		if s.reason(f) == "" {
			fit = append(fit, f)
		} else {
			unfit = append(unfit, f)
		}
	}
	for _, f := range unfit {
		say("# Left out: %s: %s", comment(f.ID), comment(s.reason(f)))
		s.left++
	}
	if s.account == "" {
		say("# REPLACE this everywhere with the resource ID of the storage account for the backups, best in another region:")
		say("# %s", placeholder)
	}
	say("version: 1\ndefaults:\n  timeZone: UTC")
	if len(fit) == 0 {
		say("plans: [] # nothing was found that no plan has")
		return b.String()
	}
	say("plans:")
	for i, f := range fit {
		s.taken++
		s.plan(say, f, i, len(fit))
	}
	return b.String()
}

// reason says why a service is left out, "" if it is not.
func (s *starter) reason(f backup.Found) string {
	if why := s.Unfit(f); why != "" {
		return why
	}
	if _, err := s.Check(f.ID); err != nil {
		return err.Error()
	}
	return ""
}

// plan writes the plan of one service. The plans have their times from 01:00 to 05:00 one after another, since Azure counts the requests of
// a subscription.
func (s *starter) plan(say func(string, ...any), f backup.Found, i, n int) {
	one, _ := s.Of(f.ID)
	minute := 60 + i*240/n
	schedule, keep := fmt.Sprintf("%d %d * * *", minute%60, minute/60), "30d"
	if s.CopyOnly(f.ID, backup.Settings{}) {
		schedule, keep = fmt.Sprintf("%d %d * * SUN", minute%60, minute/60), "52w"
	}
	name := s.name(one, f)
	say("  - name: %s # %s, %s", name, one.Title, comment(cmp.Or(f.Location, "region not shown")))
	say("    targets:\n      - %q", f.ID)
	if one.Shares {
		say("    # Azure writes file shares here: the account must have its keys on.")
	}
	say("    storage:\n      account: %q\n      container: %s", cmp.Or(s.account, placeholder), name)
	say("    schedule: %q\n    keep: {within: %s}", schedule, keep)
}

// longestName is the length of a container's name, and of a plan's.
const longestName = 63

// name returns the name of a service's plan and container, which no other has.
func (s *starter) name(one backup.Service, f backup.Found) string {
	r, _ := backup.ParseResource(f.ID)
	name := notInName.ReplaceAllString(strings.ToLower(one.Title+"-"+r.Name), "-")
	if len(name) > longestName || s.names[name] {
		name = strings.TrimRight(name[:min(len(name), longestName-9)], "-") + "-" + backup.Digest(strings.ToLower(f.ID), 8)
	}
	s.names[name] = true
	return name
}

// notInName matches characters that become a dash in the name of a container: on both sides of each dash stands a letter or digit.
var notInName = pattern.New(`[^a-z0-9]+`)

// comment returns the text fit for a line of a comment.
func comment(s string) string { return strings.Join(strings.Fields(text.Plain(s)), " ") }
