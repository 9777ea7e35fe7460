package prove

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/pattern"
	"lifeboat/internal/roles"
)

// These are the price of an API Management of the tier Developer, the cheapest that has backups, in US$: by hour, and for the three hours
// that a usual proof takes. Azure's list of prices shows none without a region and a currency. Public comparisons of 2026 have about
// 48 US$ for a month, which is 730 hours, in regions of the US.
const (
	hourly = "0.07"
	usual  = "0.21"
)

// tag is the name of the tag of a service that a proof has made, and the ID of the proof its value.
const tag = "lifeboat-prove"

// These are the states of the service that a proof makes for itself, as its report keeps them for a later run. Azure keeps a deleted service
// without its tags: so only a report that says deleting shows that a proof has seen them before.
const (
	there    = "there"
	deleting = "deleting"
	purging  = "purging"
	gone     = "gone"
)

// unsure is its state if Azure does not answer a run that may be a later one. No report has it.
const unsure = "unsure"

// own is the service that a proof makes for itself.
type own struct {
	backup.Maker
	id, group string
	// state is one of those above; "" before it is made.
	state string
	// begun tells that a backup of it is verified, or that it can never be used: the end of the proof is the end of the service.
	begun bool
}

// nameOf returns the name of the service of the proof in the resource group. Names of API Managements are unique in all of Azure.
func nameOf(group, proof string) string {
	return prefix + backup.Digest(strings.ToLower(group)+" "+proof, 20)
}

// is tells whether the proof made the service: by its name and its tag, and never by its name alone.
func (o *own) is(m backup.Made, proof string) bool {
	r, err := backup.ParseResource(m.ID)
	if err != nil || !strings.EqualFold(r.Name, nameOf(o.group, proof)) {
		return false
	}
	for name, value := range m.Tags {
		if strings.EqualFold(name, tag) && value == proof {
			return true
		}
	}
	return false
}

// earlier reads what an earlier run of this proof has reported. A report of another proof of this ID stays: it alone shows that the other one
// may purge its service.
func (p *proof) earlier() (was report, err error) {
	body, err := os.ReadFile(p.file(".json"))
	if err != nil || json.Unmarshal(body, &was) != nil || was.Proof != p.id {
		return report{}, nil
	}
	if was.Key != p.key() {
		return report{}, fmt.Errorf("%s is the report of another proof %s: say another --id or --to", p.file(".json"), p.id)
	}
	return was, nil
}

// key tells the proof from one of its ID in another group. The name of its service cannot be made of it.
func (p *proof) key() string {
	if p.own == nil {
		return ""
	}
	return backup.Digest("report "+strings.ToLower(p.own.group)+" "+p.id, 20)
}

func (p *proof) file(end string) string { return filepath.Join(p.folder, "prove-"+p.id+end) }

// provide makes the service, or finds it as an earlier run has left it. If that run was deleting it, the proof is over: provide ends the
// deletion, and over is true.
func (p *proof) provide(ctx context.Context, was report) (over bool, err error) {
	switch was.Made {
	case gone:
		return true, fmt.Errorf("the proof %s is over, and its API Management is deleted: see %s, or say another --id", p.id, p.file(".md"))
	case deleting, purging:
		return true, p.resumeRemoval(ctx, was)
	}
	p.hint(ctx)
	found, err := p.own.Look(ctx, p.own.id)
	switch {
	case err != nil:
		if !p.unnamed {
			p.own.state = unsure
		}
		return true, errors.Join(advised(err), p.left())
	case found.State != "" && !p.own.is(found, p.id):
		return true, p.foreign(found)
	case found.State == "":
		if err := p.agree(ctx, p.offer()); err != nil {
			return true, err
		}
		p.yes = p.group // to the rest too
	}
	fmt.Fprintf(p.Stdout, "proof %s: if it is stopped, go on with --make-apim --id %[1]s\n", p.id)
	if err := p.step(ctx, "make", p.services[0], func() (string, error) { return p.make(ctx) }); err != nil {
		if p.own.begun { // it can never be used
			p.end(err)
			err = p.discarded(ctx, err)
		}
		return true, errors.Join(err, p.left())
	}
	return false, nil
}

// offer tells what is made, and what it costs.
func (p *proof) offer() string {
	return fmt.Sprintf("An API Management of the tier Developer is made in the group %s, for this proof alone:\n  %s\n"+
		"It costs about %s US$ an hour, %s US$ for a usual proof of 3 hours: estimates of 2026, see azure.microsoft.com/pricing/details/api-management.\n"+
		"It is deleted at the end of the proof, or by %[5]s\n"+
		"Azure takes 30 to 60 minutes to make it. The backups cost their storage, for as long as the plan keeps them.\n",
		text.Plain(p.group), text.Plain(p.own.id), hourly, usual, p.again("--clean-up", p.id))
}

// hint tells of services that other proofs have left. They cost money.
func (p *proof) hint(ctx context.Context) {
	all, err := p.own.Others(ctx, p.own.group)
	if err != nil {
		return // no reason not to go on
	}
	for _, other := range p.proofs(all) {
		if other != p.id {
			fmt.Fprintf(p.Stderr, "the API Management of the proof %s is in the group too, and costs about %s US$ an hour: %s\n",
				other, hourly, p.again("--clean-up", other))
		}
	}
}

// proofs returns the IDs of the proofs that have made one of the services.
func (p *proof) proofs(all []backup.Made) (ids []string) {
	for _, m := range all {
		for _, value := range m.Tags {
			if idForm.MatchString(value) && p.own.is(m, value) && !slices.Contains(ids, value) {
				ids = append(ids, value)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

func (p *proof) foreign(m backup.Made) error {
	return failed{"AnotherService", fmt.Sprintf("%s is there without the tag %s=%s, so this proof did not make it: it stays as it is", m.ID, tag, p.id)}
}

// longest is the longest time that a proof waits until Azure has made or deleted its service.
const longest = 3 * time.Hour

// make waits until the service is there. It asks for it as long as Azure shows none, since an answer may be lost. Azure could not
// make a failed service only if this run saw its beginning: a failed restore may have left it so, and is evidence.
func (p *proof) make(ctx context.Context) (string, error) {
	w := p.watch("made", "30 to 60 minutes are usual")
	young := false
	for {
		found, err := p.own.Look(ctx, p.own.id)
		switch {
		case err != nil:
		case found.State == "" && w.first != "" && w.first != "asked for":
			return "", failed{"NotMade", "the API Management was there as " + w.first + ", and is not any more"}
		case found.State == "":
			young = true
			err = p.ask(ctx)
			found.State = "asked for"
		case !p.own.is(found, p.id):
			p.own.state = ""
			return "", p.foreign(found)
		case found.State == "Failed" && !young:
			p.own.state = there
			return "it is there, and its provisioningState is Failed", nil
		case found.State == "Failed":
			p.own.state, p.own.begun = there, true
			return "", failed{"NotMade", "Azure could not make the API Management: its provisioningState is Failed"}
		case found.State == "Succeeded":
			p.own.state = there
			return "it is there", nil
		default:
			p.own.state, young = there, young || found.State == "Activating"
		}
		if err := w.wait(ctx, found.State, err); err != nil {
			return "", err
		}
	}
}

// ask sends the request for the service.
func (p *proof) ask(ctx context.Context) error {
	region, err := p.own.Region(ctx, p.own.group)
	if err == nil {
		p.own.state = there // it may be, from now on
		err = p.own.Make(ctx, p.own.id, region, map[string]string{tag: p.id})
	}
	if fault, asked := errors.AsType[*backup.Fault](err); asked && strings.Contains(fault.Code, "SoftDeleted") {
		p.own.state = ""
		return failed{fault.Code, "Azure still keeps a deleted API Management of this name: say another --id, or purge it with az apim deletedservice purge"}
	} else if asked && fault.Kind == backup.Refused {
		p.own.state = ""
	}
	return err
}

// watch is the wait for a state.
type watch struct {
	*proof
	what, usual  string
	first, last  string
	begin, spoke time.Time
	pause        time.Duration
}

func (p *proof) watch(what, usual string) *watch {
	now := p.Now()
	return &watch{proof: p, what: what, usual: usual, begin: now, spoke: now, pause: time.Second}
}

// wait waits until the next look. It tells of a new state at once, and of an old one each minute. Only a refusal ends the wait, and time.
func (w *watch) wait(ctx context.Context, state string, err error) error {
	fault, asked := errors.AsType[*backup.Fault](err)
	now := w.Now()
	switch {
	case err != nil && (!asked || fault.Kind == backup.Refused || fault.Code == "NoIdentityToken"):
		return err
	case err != nil:
		state = "no answer: " + fault.Code
		if fault.Said != "" {
			state = "refused for now: " + fault.Code
		}
	case w.first == "" || w.first == "asked for":
		w.first = state
	}
	if now.Sub(w.begin) > longest {
		return cmp.Or(err, error(failed{"TookTooLong", fmt.Sprintf("after %s it is %s", longest, state)}))
	}
	if state != w.last || now.Sub(w.spoke) >= time.Minute {
		fmt.Fprintf(w.Stderr, "to be %s: %s after %d min; %s\n", w.what, text.Plain(state), int(now.Sub(w.begin).Minutes()), w.usual)
		w.last, w.spoke = state, now
	}
	if !w.Sleep(ctx, w.pause) {
		return client.ErrStopped
	}
	w.pause = min(2*w.pause, 30*time.Second)
	return nil
}

// unplanned tells the person how the app gets to know the service.
func (p *proof) unplanned() error {
	fmt.Fprintf(p.Stdout, `
The API Management is there. Now let the app back it up:

1. lifeboat plan pull --from "$LIFEBOAT_PLAN_URL" -o plan.yaml --force
2. Add this to the list plans: of plan.yaml, with a storage: of its own if there is none under defaults:

%s
3. lifeboat plan roles plan.yaml --principal "$LIFEBOAT_PRINCIPAL_ID" -o az >roles.sh
   sh roles.sh
4. lifeboat plan push plan.yaml --to "$LIFEBOAT_PLAN_URL"
5. %s

`, p.entry(), p.again("--make-apim", p.id))
	return errors.New("not proved yet: no plan of the app has it as a target that may be restored into itself")
}

// entry is the plan for the service: its next scheduled time is no time soon.
func (p *proof) entry() string {
	return fmt.Sprintf(`  - name: %s
    targets:
      - %s
    schedule: "0 0 29 2 *"
    keep: {within: 1d}
    onDemand: {keep: {within: 1d}}
    restore: {into: [itself]}
`, p.mark, p.own.id)
}

// again is the command for a later run, with the flags that it needs too.
func (p *proof) again(flag, id string) string {
	command := fmt.Sprintf("lifeboat prove -g %s %s --id %s --subscription %s", quoted(text.Plain(p.group)), flag, id, p.subscription)
	if p.folder == "." {
		return command
	}
	return command + " --to " + quoted(p.folder)
}

// quoted is the text as one word of a shell: without quotes if it needs none.
func quoted(text string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return roles.Quote(text)
}

var plainWord = pattern.New(`^[A-Za-z0-9_./-]+$`)

// left tells that the service is still there, and how it goes away.
func (p *proof) left() error {
	if p.own == nil {
		return nil
	}
	words := map[string]string{
		unsure:   "%s may be there from an earlier run, and costs about %s US$ an hour then. Go on with --make-apim --id %s, or delete it: ",
		there:    "%s stays, and costs about %s US$ an hour. Go on with --make-apim --id %s, or delete it: ",
		deleting: "%s may still be there, and costs about %s US$ an hour then. Its deletion has not ended for the proof %s: ",
		purging:  "%s is deleted, which ends its price of %s US$ an hour. Azure keeps it for 48 hours, unless the proof %s purges it: ",
	}[p.own.state]
	if words != "" {
		fmt.Fprintf(p.Stderr, words+"%s\n", text.Plain(p.own.id), hourly, p.id, p.again("--clean-up", p.id))
	}
	return nil
}

// ended tells whether the proof is over, so that its service can go. It is not while a person may go on with it: it was stopped, its
// restore goes on, or there is no backup yet, perhaps for want of a role.
func (p *proof) ended(err error) bool {
	unsettled := slices.ContainsFunc(p.report.Steps, func(s step) bool { return s.Code == "RestoreGoesOn" })
	return p.own.begun && !errors.Is(err, client.ErrStopped) && !unsettled
}

// discard deletes the service for good. Before each request that cannot be taken back, the report says what this run has seen, so that the
// next one can go on.
func (p *proof) discard(ctx context.Context) error {
	if p.own.state != purging {
		p.own.state = deleting
	}
	err := p.step(ctx, "delete", p.services[0], func() (string, error) { return p.remove(ctx) })
	p.report.Made = p.own.state
	if p.own.state == gone {
		fmt.Fprintf(p.Stdout, "Now take the plan %s out of plan.yaml again if it is there, with its roles: Edit the plan in docs/deploy.md says how.\n", p.mark)
	}
	return err
}

// discarded ends a proof with the end of its service. From now on it is over, whatever becomes of this run.
func (p *proof) discarded(ctx context.Context, err error) error {
	p.own.state, p.report.Made = deleting, deleting
	return errors.Join(err, p.save(), p.discard(ctx), p.save())
}

// keep saves the state of the service.
func (p *proof) keep(state string) error {
	p.own.state, p.report.Made = state, state
	return p.save()
}

func (p *proof) remove(ctx context.Context) (string, error) {
	w := p.watch("deleted", "up to half an hour is usual")
	for {
		found, err := p.own.Look(ctx, p.own.id)
		switch {
		case err != nil:
		case found.State == "":
			return p.purge(ctx)
		case !p.own.is(found, p.id):
			return "", p.foreign(found)
		case found.State != "Deleting":
			if err = p.keep(deleting); err == nil {
				err = p.own.Delete(ctx, p.own.id)
			}
		}
		if err := w.wait(ctx, found.State, err); err != nil {
			return "", err
		}
	}
}

// unseen is the time for which a proof waits until the list of deleted services has its own: Azure may hide that from the first moment of the
// deletion on, which takes up to half an hour.
const unseen = 45 * time.Minute

// purge purges what Azure keeps of the service once that is gone. Azure may show it only some time later. A refusal ends it: the service is
// deleted, and Azure purges the rest of it by itself.
func (p *proof) purge(ctx context.Context) (string, error) {
	w, sent := p.watch("purged", "some minutes are usual"), false
	for {
		kept, err := p.own.Deleted(ctx, p.own.id)
		if code := p.refusal(err); code != "" {
			p.own.state = gone
			return "deleted; it cannot be seen here whether Azure keeps it for the usual 48 hours: " + code, nil
		}
		state := "kept by Azure"
		switch {
		case err != nil:
		case kept.Address == "" && p.own.state == purging:
			p.own.state = gone
			return "deleted and purged", nil
		case kept.Address == "" && p.Now().Sub(w.begin) > unseen:
			p.own.state = gone
			return "deleted; Azure shows nothing of it to purge", nil
		case kept.Address == "":
			state = "not yet in the list of deleted services"
		case sent:
			state = "being purged"
		default:
			if err = p.keep(purging); err == nil {
				err = p.own.Purge(ctx, kept)
				sent = err == nil
			}
			if code := p.refusal(err); code != "" {
				p.own.state = gone
				return "deleted; Azure keeps it until " + kept.Until.UTC().Format(time.RFC3339) + ", since it refused the purge: " + code, nil
			}
		}
		if err := w.wait(ctx, state, err); err != nil {
			return "", err
		}
	}
}

// refusal returns the code with which Azure has refused a request of the person; "" if it has not. Azure's words and the hint have names,
// so that they are for the person, and not for the report.
func (p *proof) refusal(err error) string {
	fault, asked := errors.AsType[*backup.Fault](err)
	if !asked || fault.Kind != backup.Refused {
		return ""
	}
	fmt.Fprintln(p.Stderr, advised(err))
	return cmp.Or(word(fault.Code), "no code")
}

// advised adds the hint of a fault.
func advised(err error) error {
	if fault, asked := errors.AsType[*backup.Fault](err); asked {
		return fmt.Errorf("%w\n  %s", fault, advice(fault))
	}
	return err
}

// resumeRemoval ends the deletion that an earlier run has begun. The report stays as it was beside that.
func (p *proof) resumeRemoval(ctx context.Context, was report) error {
	fmt.Fprintf(p.Stdout, "proof %s ended before, as %s: the deletion of its API Management goes on\n", p.id, text.Plain(was.Result))
	p.report, p.own.state = was, was.Made
	err := p.discard(ctx)
	err = errors.Join(err, p.save(), p.left())
	if err == nil && p.report.Result != "proved" {
		err = errors.New("the proof " + p.id + " ended as " + p.report.Result + ": see " + p.file(".md"))
	}
	return err
}

// sweep deletes the service of the proof, whatever became of that.
func (p *proof) sweep(ctx context.Context, was report) error {
	if was.Made == deleting || was.Made == purging {
		err := p.agree(ctx, "The API Management of the proof "+p.id+" is deleted for good.\n")
		if err == nil {
			p.report, p.own.state = was, was.Made
			err = errors.Join(p.discard(ctx), p.save(), p.left())
		}
		return err
	}
	found, err := p.own.Look(ctx, p.own.id)
	switch {
	case err != nil:
		return advised(err)
	case found.State == "":
		return p.absent(ctx)
	case !p.own.is(found, p.id):
		return p.foreign(found)
	}
	if err := p.agree(ctx, fmt.Sprintf("The API Management that the proof %s has made is deleted for good:\n  %s\n", p.id, text.Plain(found.ID))); err != nil {
		return err
	}
	p.report = was
	if was.Proof == "" {
		p.begin()
		p.report.Result = "stopped"
	}
	p.own.state = there
	return errors.Join(p.discard(ctx), p.save(), p.left())
}

// absent tells that there is nothing to delete. It purges nothing, since no tag shows who made it. A group that is not there, perhaps in
// this subscription alone, tells nothing of the service.
func (p *proof) absent(ctx context.Context) error {
	if _, err := p.own.Region(ctx, p.own.group); err != nil {
		return advised(err)
	}
	fmt.Fprintf(p.Stdout, "the group %s has no API Management of the proof %s\n", text.Plain(p.group), p.id)
	if kept, err := p.own.Deleted(ctx, p.own.id); err == nil && kept.Address != "" {
		fmt.Fprintf(p.Stdout, "Azure keeps a deleted one of its name until %s, and then purges it: %s\n", kept.Until.UTC().Format(time.RFC3339), text.Plain(kept.Address))
	}
	return nil
}

// list tells which proofs have a service in the group.
func (p *proof) list(ctx context.Context) error {
	all, err := p.own.Others(ctx, p.own.group)
	if err != nil {
		return advised(err)
	}
	ids := p.proofs(all)
	if len(ids) == 0 {
		_, err := fmt.Fprintf(p.Stdout, "the group %s has no API Management that a proof has made\n", text.Plain(p.group))
		return err
	}
	for _, id := range ids {
		fmt.Fprintln(p.Stdout, p.again("--clean-up", id))
	}
	return fmt.Errorf("nothing was deleted: %s of a proof there, so say which with --id", text.Count(len(ids), "API Management"))
}
