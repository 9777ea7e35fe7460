// Package prove backs up, damages and restores services that a person gives up for it, and writes a report.
package prove

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
	"lifeboat/internal/pattern"
)

// prefix begins the names of all marks. A later proof finds by it what a killed one left.
const prefix = "lifeboat-prove-"

// Shell is the environment of the command.
type Shell struct {
	Getenv         func(string) string
	Stdout, Stderr io.Writer
	// Now tells the time.
	Now func() time.Time
	// Sleep waits, and returns false if the context ends before; nil means client.Sleep.
	Sleep func(ctx context.Context, d time.Duration) bool
	// Version is the version of the program's source.
	Version string
	// RequestID is another one each time: the ID of a proof without --id is its beginning.
	RequestID string
	// Services are the services that Lifeboat backs up.
	Services backup.Services
	// Markers makes what services are damaged with, by the resource type in lower case, with the sign-in of the environment.
	Markers func(getenv func(string) string) (map[string]backup.Marker, error)
	// Makers makes what makes services, in the same way.
	Makers func(getenv func(string) string) (map[string]backup.Maker, error)
	// Asks tells whether there is a terminal to ask at, and Line reads a line there.
	Asks func() bool
	Line func(ctx context.Context, outcome string) (string, error)
}

// request has the flags.
type request struct {
	group, yes, id, folder, subscription string
	services                             []string
	names, makes, cleans                 bool
}

// idForm is the form of the ID of a proof: it is a part of the names of marks, and ends the name of a plan.
var idForm = pattern.New(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// Command makes the command prove.
func Command(sh Shell) *cobra.Command {
	var q request
	c := &cobra.Command{
		Use:   "prove -g GROUP",
		Short: "Proves by services that may be lost that backups restore them",
		Long: `Proves in your own subscription that a backup brings a service back. It takes
only services that you name and can do without, each in the resource group
GROUP, and each a target of a plan that lets it be restored into itself. Their
content is OVERWRITTEN, and changes made meanwhile are LOST. The backups
stay as long as the plan keeps them, and cost that.

With --make-apim it makes an API Management of its own in GROUP, of the tier
Developer. That costs about ` + hourly + ` US$ an hour, and ` + usual + ` US$ for a usual proof of
three hours: estimates of 2026. Azure takes 30 to 60 minutes. Then prove prints
the plan and the commands by which the app backs it up. Run it again with the
same --id, and it goes on. At the end of the proof, well or not, it deletes and
purges that API Management, which it knows by name and tag, and nothing else.
It stays, and costs, as long as you may go on: until a backup of it is verified,
which missing roles prevent, or after a stop or a kill. --clean-up deletes it
then; without --id it lists what proofs have left. Your sign-in needs the role
Contributor on GROUP. A purge needs it on the subscription; without, Azure keeps
what is deleted for 48 hours.

It has the app check what its plan needs, and stops if anything is refused. It
makes a backup. Once that is verified it damages the service: with the sign-in
here (az login) it makes an API without operations in an API Management, or a
key in a Managed HSM, whose name begins with lifeboat-prove-. It restores the
backup, and looks that this mark is gone and that the service answers. If it
ends before the restore, or that fails, it removes the mark. Otherwise the mark
is evidence: the restore takes it away, or later a proof with another ID. For
marks your sign-in needs the role API Management Service Contributor, or Managed
HSM Crypto User and Crypto Officer.

On a terminal it asks for the name of the group first. In a script say --yes
GROUP. If it is stopped or killed, run it again with the same --id: it goes on
with the same restore, or with the same backup for an hour; in place of a backup
that failed it makes another. A run with another ID removes the marks that an
earlier one left in these services.

The report, prove-ID.json and prove-ID.md, has versions, tiers, times, results
and Azure's codes, and answers open questions about Azure; no name, no ID and
no secret, unless you say --names. The exit code is 0 if every service
was restored.`,
		Example: "  lifeboat prove -g sandbox --service " + example + `
  lifeboat prove -g sandbox --make-apim --id first
  lifeboat prove -g sandbox --clean-up --id first`,
		Args: usage.None,
	}
	flags := c.Flags()
	flags.StringVarP(&q.group, "group", "g", "", "the resource `GROUP` of all the services")
	flags.Func("service", "the resource `ID` of one that may be lost; repeat it", func(id string) error {
		q.services = append(q.services, backup.ResourceID(id))
		return nil
	})
	flags.BoolVar(&q.makes, "make-apim", false, "make an API Management, and delete it at the end")
	flags.BoolVar(&q.cleans, "clean-up", false, "only delete the API Management that the proof has made")
	flags.StringVar(&q.subscription, "subscription", "", "the `ID` of its subscription (or AZURE_SUBSCRIPTION_ID)")
	flags.StringVar(&q.yes, "yes", "", "do not ask: services of this `GROUP` may be lost")
	flags.StringVar(&q.id, "id", "", "the `ID` of the proof, to go on with a stopped one")
	flags.StringVar(&q.folder, "to", ".", "write the report into this `FOLDER`")
	flags.BoolVar(&q.names, "names", false, "the report has names and Azure's words")
	_ = c.MarkFlagDirname("to")
	for _, name := range []string{"group", "service", "yes", "id", "subscription"} {
		_ = c.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		p, err := sh.prepare(c, q)
		if err != nil {
			return err
		}
		return p.run(c.Context())
	}
	return c
}

const example = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/sandbox/providers/Microsoft.ApiManagement/service/contoso-try"

// proof is one proof.
type proof struct {
	Shell
	client.Client
	request
	// mark is the name of its marks.
	mark     string
	services []*service
	report   report
	// own is the service that it makes; nil for none. It is not known which proof to clean up if unnamed.
	own     *own
	unnamed bool
}

// service is a service that is given up.
type service struct {
	id, label, plan string
	marker          backup.Marker
	report          *serviceReport
	// backup is the ID of the request for its backup.
	backup string
	// restore is its restore of this proof; nil if none was asked for yet, as far as is known.
	restore *api.Run
	// asked tells that this run has sent the request for it, denied that the app has refused that, and before that it was over before this run.
	asked, denied, before bool
	// other is a restore of another proof, under way or just ended; nil for none. A run of another proof that was made after the restore of
	// this one is after.
	other, after *api.Run
	// touched tells that a mark of this proof may be there, and seen that this run saw it.
	touched, seen bool
}

// prepare reads flags and settings, without a call.
func (sh Shell) prepare(c *cobra.Command, q request) (*proof, error) {
	if sh.Sleep == nil {
		sh.Sleep = client.Sleep
	}
	p := &proof{Shell: sh, request: q, unnamed: q.id == ""}
	switch {
	case q.group == "":
		return nil, usage.Misuse(c, "-g GROUP is missing: the resource group of the services")
	case q.makes && q.cleans:
		return nil, usage.Misuse(c, "--make-apim and --clean-up exclude each other")
	case (q.makes || q.cleans) && len(q.services) > 0:
		return nil, usage.Misuse(c, "--service is not for a proof that makes its own")
	case len(q.services) == 0 && !q.makes && !q.cleans:
		return nil, usage.Misuse(c, "--service ID is missing: the resource ID of a service that may be lost; or say --make-apim")
	case q.yes != "" && !strings.EqualFold(q.yes, q.group):
		return nil, usage.Misuse(c, "--yes names the group %q, and -g the group %q", q.yes, q.group)
	}
	if p.id == "" {
		p.id, _, _ = strings.Cut(strings.ToLower(sh.RequestID), "-")
	}
	if !idForm.MatchString(p.id) {
		return nil, usage.Misuse(c, "--id has 1 to 32 small letters, digits and dashes, no dash first or last")
	}
	p.mark = prefix + p.id
	if err := p.makesOwn(c); err != nil {
		return nil, err
	}
	subscription := ""
	for _, id := range p.request.services {
		r, err := backup.ParseResource(id)
		if err != nil {
			return nil, usage.Misuse(c, "--service: %v", err)
		}
		known, is := sh.Services.Of(id)
		switch {
		case !strings.EqualFold(r.Group, q.group):
			return nil, usage.Misuse(c, "--service: %s is in the group %s, and not in %s: nothing outside of that is touched", id, r.Group, q.group)
		case subscription != "" && !strings.EqualFold(subscription, r.Subscription):
			return nil, usage.Misuse(c, "--service: all services are in one subscription")
		case !is:
			return nil, usage.Misuse(c, "--service: Lifeboat backs up no %s", r.Type)
		case slices.ContainsFunc(p.services, func(s *service) bool { return backup.Same(s.id, id) }):
			return nil, usage.Misuse(c, "--service: %s is there twice", id)
		}
		subscription = r.Subscription
		s := &service{id: id, label: r.Name, report: &serviceReport{Title: known.Title, kind: strings.ToLower(known.Type)}}
		p.services = append(p.services, s)
		s.report.Service = fmt.Sprintf("service %d", len(p.services))
		if q.names {
			s.report.Name = s.id
		}
	}
	switch asks := p.yes == "" && !sh.Asks(); {
	case asks && p.cleans && !p.unnamed:
		return nil, usage.Error("lifeboat prove: the API Management would be deleted, and there is no terminal to ask at: say --yes " + q.group + " if it may be\n")
	case p.cleans:
		return p, p.opens() // it needs no app
	case asks && p.makes:
		return nil, usage.Error("lifeboat prove: an API Management would be made, which costs about " + hourly + " US$ an hour, and there is no terminal to ask at: say --yes " +
			q.group + " if it may be\n")
	case asks:
		return nil, usage.Error("lifeboat prove: the content of the services would be overwritten, and there is no terminal to ask at: say --yes " +
			q.group + " if it may be\n")
	}
	var err error
	if p.Client, err = client.New(sh.Getenv, false, sh.Stderr); err != nil {
		return nil, usage.Error(err.Error() + "\n")
	}
	markers, err := sh.Markers(sh.Getenv)
	if err := errors.Join(err, p.opens()); err != nil {
		return nil, err
	}
	for _, s := range p.services {
		if s.marker = markers[s.report.kind]; s.marker == nil {
			return nil, usage.Misuse(c, "--service: a restore makes a new %s, and prove cannot damage one: try that by hand", s.report.Title)
		}
	}
	return p, nil
}

// makesOwn says which service the proof makes, or deletes.
func (p *proof) makesOwn(c *cobra.Command) error {
	if !p.makes && !p.cleans {
		return nil
	}
	if p.subscription == "" {
		p.subscription = p.Getenv("AZURE_SUBSCRIPTION_ID")
	}
	if !backup.IsUUID(p.subscription) {
		return usage.Misuse(c, "--subscription ID is missing: the ID of the subscription of the group, a UUID")
	}
	group := "/subscriptions/" + p.subscription + "/resourceGroups/" + p.group
	p.own = &own{group: group, id: group + "/providers/" + ownType + "/" + nameOf(group, p.id)}
	p.request.services = []string{p.own.id}
	return nil
}

// opens makes the maker of the proof's own service.
func (p *proof) opens() error {
	if p.own == nil {
		return nil
	}
	makers, err := p.Makers(p.Getenv)
	p.own.Maker = makers[strings.ToLower(ownType)]
	return err
}

// ownType is the type of that service.
const ownType = "Microsoft.ApiManagement/service"

// run proves it, removes the marks, and writes the report.
func (p *proof) run(ctx context.Context) error {
	if p.cleans && p.unnamed {
		return p.list(ctx)
	}
	was, err := p.earlier()
	switch {
	case err != nil:
		return err
	case p.own == nil:
	case p.cleans:
		return p.sweep(ctx, was)
	default:
		p.begin()
		if over, err := p.provide(ctx, was); over {
			return err
		}
	}
	if err := p.find(ctx); err != nil {
		return errors.Join(err, p.left())
	}
	if err := p.confirm(ctx); err != nil {
		return errors.Join(err, p.left())
	}
	if p.own == nil {
		fmt.Fprintf(p.Stdout, "proof %s: if it is stopped, go on with --id %[1]s\n", p.id)
		p.begin()
	}
	err = p.prove(ctx)
	// If the person has ended it, there is a minute to clean up.
	rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if ctx.Err() == nil {
		rest = ctx
	}
	for _, s := range p.services {
		err = errors.Join(err, p.clean(rest, s))
	}
	p.end(err)
	switch {
	case p.own == nil:
	case p.ended(err):
		err = p.discarded(ctx, err)
	default:
		p.report.Made = p.own.state
	}
	return errors.Join(err, p.write(), p.left())
}

// find looks for each service in the app's plans.
func (p *proof) find(ctx context.Context) error {
	targets, err := get[api.Page[api.Target]](ctx, p.Client, "/api/targets")
	if err != nil {
		return err
	}
	for _, s := range p.services {
		target := false
		for _, t := range targets.Value {
			if !backup.Same(t.Target, s.id) {
				continue
			}
			target = true
			if slices.ContainsFunc(t.Into, func(id string) bool { return backup.Same(id, s.id) }) {
				s.id, s.plan = t.Target, t.Plan
				break
			}
		}
		switch {
		case p.own != nil && s.plan == "":
			return p.unplanned()
		case !target:
			return fmt.Errorf("no plan of the app has the target %s", s.id)
		case s.plan == "":
			return fmt.Errorf("no plan lets %s be restored into itself: add restore: {into: [itself]}", s.id)
		}
	}
	return nil
}

// confirm has the person agree to the loss of what the services hold.
func (p *proof) confirm(ctx context.Context) error {
	var b strings.Builder
	fmt.Fprintf(&b, "These services of the group %s are damaged, and then overwritten by a backup:\n", text.Plain(p.group))
	for _, s := range p.services {
		known, _ := p.Services.Of(s.id)
		fmt.Fprintf(&b, "  %s\n", text.Plain(s.id))
		for _, words := range known.Restore.Overwrites {
			fmt.Fprintf(&b, "    overwritten: %s\n", text.Plain(words))
		}
		for _, words := range known.NotIncluded {
			fmt.Fprintf(&b, "    not restored: %s\n", text.Plain(words))
		}
	}
	b.WriteString("The price is that of the backups, for as long as the plan keeps them.\n")
	if p.own != nil {
		b.WriteString("This proof has made it, and deletes it at its end.\n")
	}
	return p.agree(ctx, b.String()+"\nWhat changes in them from now on is LOST. ")
}

// agree has the person type the name of the group.
func (p *proof) agree(ctx context.Context, words string) error {
	if p.yes != "" {
		return nil
	}
	fmt.Fprintf(p.Stderr, "%sType %s to go on: ", words, text.Plain(p.group))
	typed, err := p.Line(ctx, "nothing was done")
	if err != nil {
		return err
	}
	if !strings.EqualFold(strings.TrimSpace(typed), p.group) {
		return errors.New("that is not its name: nothing was done")
	}
	return nil
}

// prove does the steps of all services, up to the first that fails.
func (p *proof) prove(ctx context.Context) error {
	for _, s := range p.services {
		if err := p.tidy(ctx, s); err != nil {
			return err
		}
	}
	if err := p.check(ctx); err != nil {
		return err
	}
	for _, s := range p.services {
		if err := p.one(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// one proves it with one service.
func (p *proof) one(ctx context.Context, s *service) error {
	point, err := p.backup(ctx, s)
	if err != nil {
		return err
	}
	if s.restore == nil {
		if err := p.preview(ctx, s, point); err != nil {
			return err
		}
		if err := p.damage(ctx, s); err != nil {
			return err
		}
	}
	if err := p.bringBack(ctx, s, point); err != nil {
		return err
	}
	return p.look(ctx, s)
}
