package prove

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/check"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/restore"
)

// failed says why a step failed. Its code goes into the report, and its words to the person.
type failed struct{ code, words string }

func (e failed) Error() string { return e.words }

// because makes the error of a step of what the API tells.
func because(what string, p *api.Problem) error {
	problem := *cmp.Or(p, &api.Problem{Code: "Unknown"})
	return failed{problem.Code, what + ": " + client.InWords(problem)}
}

// step does a step, tells of it, and notes it in the report. The service is nil if it is about all.
func (p *proof) step(ctx context.Context, name string, s *service, do func() (note string, err error)) error {
	one := step{Step: name, Began: p.Now().UTC()}
	label := "all"
	if s != nil {
		one.Service, label = s.report.Service, s.label
	}
	fmt.Fprintf(p.Stdout, "%-9s %s …\n", name, text.Plain(label))
	note, err := do()
	if ctx.Err() != nil && err != nil {
		err = client.ErrStopped
	}
	one.Seconds = p.Now().UTC().Sub(one.Began).Round(100 * time.Millisecond).Seconds()
	one.Result, one.Note = "ok", note
	if err != nil {
		one.Result, one.Code, one.Note = "failed", "", ""
		wrong, said := errors.AsType[failed](err)
		fault, asked := errors.AsType[*backup.Fault](err)
		switch {
		case errors.Is(err, client.ErrStopped):
			one.Result = "stopped"
		case said:
			one.Code = wrong.code
		case asked:
			one.Code = fault.Code
			err = fmt.Errorf("%w\n  %s", fault, advice(fault))
		}
		if p.names {
			one.Note = text.Plain(err.Error())
		}
		err = fmt.Errorf("%s %s: %w", name, text.Plain(label), err)
	}
	p.report.Steps = append(p.report.Steps, one)
	words := text.Age(int64(one.Seconds))
	if note != "" && err == nil {
		words += ", " + note
	}
	fmt.Fprintf(p.Stdout, "%-9s %s %s: %s\n", name, text.Plain(label), one.Result, words)
	return err
}

// advice is the hint of the fault, for a person and not for an app.
func advice(f *backup.Fault) string {
	if f.Code == "NoIdentityToken" {
		return "Sign in with az login, or set AZURE_CLIENT_ID and the variables that belong to it."
	}
	return f.Hint
}

// get reads an answer of the API.
func get[T any](ctx context.Context, x client.Client, path string) (v T, err error) {
	a, err := x.Do(ctx, client.Call{Method: http.MethodGet, Path: path, Following: true})
	if err != nil {
		return v, err
	}
	return read[T](a)
}

func read[T any](a client.Answer) (v T, err error) {
	if err := json.Unmarshal(a.Body, &v); err != nil {
		return v, fmt.Errorf("read the answer: %w", err)
	}
	return v, nil
}

// refused is an answer of the app that says that this request began nothing. An earlier one under the same ID may have.
type refused struct{ error }

func (e refused) Unwrap() error { return e.error }

// post sends a request that may come again under its ID. It comes again until the app has ended a check of other plans.
func post[T any](ctx context.Context, x client.Client, path, id string, body any) (v T, pause time.Duration, err error) {
	for {
		var status int
		var answer struct {
			Error api.Problem `json:"error"`
		}
		a, err := x.Do(ctx, client.Call{Method: http.MethodPost, Path: path, Body: body, RequestID: id, Expected: func(s int, body []byte) bool {
			status = s
			_ = json.Unmarshal(body, &answer) // the host's own refusals have no code
			return false
		}})
		switch {
		case err == nil:
			v, err = read[T](a)
			return v, a.RetryAfter, err
		case status == http.StatusConflict && answer.Error.Code == "CheckUnderWay":
			if !client.Sleep(ctx, 5*time.Second) {
				return v, 0, client.ErrStopped
			}
		case status/100 == 4 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests:
			return v, 0, refused{err}
		default:
			return v, 0, err
		}
	}
}

// asks returns the ID of a request of this proof about the service: the same at each call, so that nothing is begun twice. A request
// for a backup has a number behind it if others failed.
func (p *proof) asks(what string, s *service) string {
	return p.mark + "-" + what + "-" + backup.Digest(strings.ToLower(s.id), 8)
}

// tidy finds the restore that this proof has asked for before it was stopped, and removes the marks that others left. Its own mark goes
// too, unless that restore is to remove it.
func (p *proof) tidy(ctx context.Context, s *service) error {
	return p.step(ctx, "tidy", s, func() (string, error) {
		if err := p.resume(ctx, s); err != nil {
			return "", err
		}
		shown, err := s.marker.Shown(ctx, s.id)
		if err != nil {
			return "", err
		}
		s.report.Tier = shown.Tier
		switch {
		case s.restore != nil && s.after != nil:
			return "", failed{"AnotherProof", "another proof made the run " + s.after.ID + " after the restore " + s.restore.ID +
				" of this one: a mark that is gone says nothing any more"}
		case s.restore != nil:
			s.touched, s.before = true, over(*s.restore)
			return "the restore of this proof was asked for before", nil
		case s.other != nil && !over(*s.other):
			return "", failed{"AnotherProof", "the restore " + s.other.ID + " of another proof goes on, and the mark of that is its evidence: " +
				"wait for its end"}
		}
		left, err := s.marker.Marks(ctx, s.id, prefix)
		if err != nil {
			return "", err
		}
		if s.other != nil && slices.ContainsFunc(left, func(name string) bool { return strings.HasPrefix(s.other.Request, name+"-restore-") }) {
			return "", failed{"AnotherProof", "the restore " + s.other.ID + " of another proof ended a short while ago, and that proof may still look " +
				"for its mark: wait " + patience.String()}
		}
		for _, name := range left {
			if err := s.marker.Unmark(ctx, s.id, name); err != nil {
				return "", err
			}
		}
		if len(left) == 0 {
			return "", nil
		}
		return text.Count(len(left), "mark") + " of earlier proofs removed", p.until(ctx, s, "the mark of an earlier proof is still there", func(marks []string) bool {
			return len(marks) == 0
		})
	})
}

// resume looks among the runs for the restore of this proof, and for what other proofs do. The app answers a request of an ID with the
// same backup for ever, so that one that has failed leaves its place to the next.
func (p *proof) resume(ctx context.Context, s *service) error {
	query := url.Values{"target": {s.id}, "top": {"100"}}
	runs, err := get[api.Page[api.Run]](ctx, p.Client, "/api/runs?"+query.Encode())
	if err != nil {
		return err
	}
	backups, own := map[string]api.Run{}, p.asks("restore", s)
	for i, v := range runs.Value {
		switch {
		case v.Restore != nil && v.Request == own:
			s.restore = &runs.Value[i]
		case v.Restore == nil:
			backups[v.Request] = v
		}
	}
	mine := p.asks("backup", s)
	s.backup = mine
	for n := 1; over(backups[s.backup]) && backups[s.backup].Status != "Succeeded"; n++ {
		s.backup = fmt.Sprintf("%s-%d", mine, n)
	}
	s.other, s.after = nil, nil
	for i, v := range runs.Value {
		if !strings.HasPrefix(v.Request, prefix) || v.Request == own || v.Request == mine || strings.HasPrefix(v.Request, mine+"-") {
			continue
		}
		if v.Restore != nil && (!over(v) || s.other == nil && p.Now().Sub(v.Ended) < patience) {
			s.other = &runs.Value[i]
		}
		if s.restore != nil && v.Created.After(s.restore.Created) {
			s.after = &runs.Value[i]
		}
	}
	return nil
}

// check has the app look at all that the plans need, unless a restore is under way already.
func (p *proof) check(ctx context.Context) error {
	var plans []string
	for _, s := range p.services {
		if s.restore == nil && !slices.Contains(plans, s.plan) {
			plans = append(plans, s.plan)
		}
	}
	if len(plans) == 0 {
		return nil
	}
	return p.step(ctx, "check", nil, func() (string, error) {
		ok := 0
		for i, plan := range plans {
			for {
				v, _, err := post[api.Check](ctx, p.Client, "/api/check", fmt.Sprintf("%s-%d", p.RequestID, i), map[string]string{"plan": plan})
				if err != nil {
					return "", err
				}
				if v.Ended.IsZero() {
					if !p.Sleep(ctx, time.Second) {
						return "", client.ErrStopped
					}
					continue
				}
				for _, f := range v.Findings {
					if f.Result == check.Refused {
						return "", because("the app lacks "+f.What+" (see lifeboat check)", &f.Error)
					}
				}
				if v.Omitted > 0 || v.Plan != plan {
					return "", errors.New("the check of the plan " + plan + " does not list all that it found: see lifeboat check --plan " + plan)
				}
				ok += v.Ok
				break
			}
		}
		return fmt.Sprintf("%d ok, nothing refused", ok), nil
	})
}

// freshness is the greatest age of the backup of a proof that goes on: its restore takes away what changed since.
const freshness = time.Hour

// backup has the service backed up, and returns the recovery point once it is verified.
func (p *proof) backup(ctx context.Context, s *service) (point string, err error) {
	return point, p.step(ctx, "backup", s, func() (string, error) {
		v, pause, err := post[api.Run](ctx, p.Client, "/api/backups", s.backup, map[string]string{"target": s.id, "plan": s.plan})
		if err != nil {
			return "", err
		}
		if v, err = p.follow(ctx, s, v, pause); err != nil {
			return "", err
		}
		s.report.backup(v)
		if p.own != nil && v.Status == "Succeeded" { // from now on no other backup takes its place
			p.own.begun = true
		}
		switch {
		case v.Status != "Succeeded":
			return "", because("the backup "+v.ID+" ended "+string(v.State), v.Error)
		case v.Point == nil || v.Point.State != backup.Live || v.Point.CopyOnly:
			return "", failed{"NotVerified", "the backup " + v.ID + " is not verified, so nothing is damaged"}
		}
		if s.restore == nil && p.report.Began.Sub(v.Ended) > freshness {
			return "", failed{"BackupTooOld", "the backup " + v.ID + " ended " + v.Ended.Format(time.RFC3339) +
				": what changed since would be lost; begin a proof with another --id"}
		}
		point = v.ID
		return fmt.Sprintf("verified, %s", text.Size(v.Point.Size)), nil
	})
}

// preview asks what the restore would do, before there is any damage.
func (p *proof) preview(ctx context.Context, s *service, point string) error {
	return p.step(ctx, "dry-run", s, func() (string, error) {
		body := p.restoring(s, point)
		body["dryRun"] = true
		v, _, err := post[restore.Preview](ctx, p.Client, "/api/restores", "", body)
		if err != nil {
			return "", err
		}
		if why := v.Refusal(); why != nil {
			return "", failed{why.Code, "the restore would be refused: " + why.Code + ": " + why.Message}
		}
		if !backup.Same(v.Destination, s.id) {
			return "", failed{"OtherDestination", "the restore would go into " + v.Destination}
		}
		if v.Safety {
			return "a safety backup comes first", nil
		}
		return "", nil
	})
}

// restoring is the request for the restore: the same each time.
func (p *proof) restoring(s *service, point string) map[string]any {
	return map[string]any{"target": s.id, "into": s.id, "recoveryPoint": point, "reason": "lifeboat prove " + p.id}
}

// damage makes the mark, and waits until the service shows it.
func (p *proof) damage(ctx context.Context, s *service) error {
	return p.step(ctx, "damage", s, func() (string, error) {
		s.touched = true
		if err := s.marker.Mark(ctx, s.id, p.mark); err != nil {
			if fault, asked := errors.AsType[*backup.Fault](err); asked && fault.Kind == backup.Refused {
				s.touched = false
			}
			return "", err
		}
		err := p.until(ctx, s, "the mark does not show", func(marks []string) bool { return slices.Contains(marks, p.mark) })
		s.seen = err == nil
		return "", err
	})
}

// bringBack has the service restored.
func (p *proof) bringBack(ctx context.Context, s *service, point string) error {
	return p.step(ctx, "restore", s, func() (string, error) {
		s.asked = true
		v, pause, err := post[api.Run](ctx, p.Client, "/api/restores", p.asks("restore", s), p.restoring(s, point))
		_, s.denied = errors.AsType[refused](err)
		if err != nil {
			return "", err
		}
		s.restore = &v
		v, err = p.follow(ctx, s, v, pause)
		if err != nil {
			return "", err
		}
		s.restore = &v
		s.report.restore(v)
		if v.Status != "Succeeded" {
			return "", because("the restore "+v.ID+" ended "+string(v.State), v.Error)
		}
		if s.before {
			return "it ended " + v.Ended.UTC().Format(time.RFC3339) + ", before this start: nothing was done now", nil
		}
		return "", nil
	})
}

// look sees that the mark is gone, and that the service answers.
func (p *proof) look(ctx context.Context, s *service) error {
	return p.step(ctx, "look", s, func() (string, error) {
		if err := p.until(ctx, s, "the mark is still there: the restore did not replace the content", func(marks []string) bool {
			return !slices.Contains(marks, p.mark)
		}); err != nil {
			return "", err
		}
		shown, err := s.marker.Shown(ctx, s.id)
		switch {
		case err != nil:
			return "", err
		case shown.State != "" && shown.State != "Succeeded" && shown.State != "Activated":
			return "", failed{"NotSettled", "the service answers, and its provisioningState is " + shown.State}
		}
		s.report.Restored = true
		return "the mark is gone, and the service answers", nil
	})
}

// clean removes the mark. Once a restore may have been asked for, that alone takes the mark away, unless it failed: else the next run with
// this ID would find the mark gone, and take that for the work of the restore.
func (p *proof) clean(ctx context.Context, s *service) error {
	if !s.touched {
		return nil
	}
	return p.step(ctx, "clean up", s, func() (string, error) {
		evidence := false
		if s.asked || s.restore != nil {
			err := p.resume(ctx, s)
			switch {
			case err != nil:
				return "", failed{"RestoreGoesOn", "the app does not tell whether a restore goes on, so the mark stays for that; " +
					"run it again with --id " + p.id + ": " + err.Error()}
			case s.restore == nil && !s.denied:
				return "", failed{"RestoreGoesOn", "the restore was asked for without an answer, so the mark stays for that; " +
					"run it again with --id " + p.id}
			case s.restore != nil && !over(*s.restore):
				return "", failed{"RestoreGoesOn", "the restore " + s.restore.ID + " goes on without this command, and removes the mark; " +
					"run it again with --id " + p.id}
			}
			evidence = s.restore != nil && s.restore.Status == "Succeeded"
		}
		marks, err := s.marker.Marks(ctx, s.id, p.mark)
		there := slices.Contains(marks, p.mark)
		switch {
		case err != nil:
			return "", err
		case evidence && there:
			return "", failed{"MarkLeft", "the restore left the mark: a proof with another --id removes it"}
		case !there && (s.seen || s.restore != nil):
			return "no mark is left", nil
		}
		if err := s.marker.Unmark(ctx, s.id, p.mark); err != nil {
			return "", err
		}
		if !there {
			return "no mark is seen; it may still appear: run again with another --id", nil
		}
		return "the mark is removed", p.until(ctx, s, "the mark is still there", func(marks []string) bool { return !slices.Contains(marks, p.mark) })
	})
}

// patience is the time in which a service shows a change that it has accepted.
const patience = 10 * time.Minute

// until waits until the service shows its marks as they should be.
func (p *proof) until(ctx context.Context, s *service, otherwise string, good func(marks []string) bool) error {
	begin, pause := p.Now(), time.Second
	for {
		marks, err := s.marker.Marks(ctx, s.id, prefix)
		fault, asked := errors.AsType[*backup.Fault](err)
		switch {
		case err == nil && good(marks):
			return nil
		case err != nil && (!asked || fault.Kind == backup.Refused), p.Now().Sub(begin) > patience:
			return cmp.Or(err, error(failed{"MarkNotAsExpected", otherwise}))
		}
		if !p.Sleep(ctx, pause) {
			return client.ErrStopped
		}
		pause = min(2*pause, 15*time.Second)
	}
}

// follow waits for the end of the run. Meanwhile it looks at what Azure shows of the service.
func (p *proof) follow(ctx context.Context, s *service, v api.Run, pause time.Duration) (api.Run, error) {
	state := backup.State("")
	for {
		if v.State != state {
			state = v.State
			fmt.Fprintf(p.Stdout, "          %s %s\n", v.ID, text.Plain(state))
		}
		if over(v) {
			return v, nil
		}
		if v.Polls > 0 {
			s.watch(ctx, v)
		}
		if !p.Sleep(ctx, cmp.Or(pause, 5*time.Second)) {
			return v, client.ErrStopped
		}
		a, err := p.Do(ctx, client.Call{Method: http.MethodGet, Path: "/api/runs/" + url.PathEscape(v.ID), Following: true})
		if err != nil {
			return v, err
		}
		pause = a.RetryAfter
		if v, err = read[api.Run](a); err != nil {
			return v, err
		}
	}
}

// over tells whether the run has ended: its status is one of Azure's three words for that. A repeated request is answered without one.
func over(v api.Run) bool {
	return slices.Contains([]string{"Succeeded", "Failed", "Canceled"}, v.Status)
}

// watch notes what Azure shows while an operation is under way. An answer that does not come is no answer to a question.
func (s *service) watch(ctx context.Context, v api.Run) {
	seen := &s.report.duringBackup
	if v.Restore != nil {
		if v.Restore.Safety && v.Point == nil {
			return // its safety backup
		}
		seen = &s.report.duringRestore
	}
	if shown, err := s.marker.Shown(ctx, s.id); err == nil && shown.State != "" {
		seen.note("provisioningState " + shown.State)
	}
	if v.Restore == nil {
		return
	}
	_, err := s.marker.Marks(ctx, s.id, prefix)
	if fault, ok := errors.AsType[*backup.Fault](err); ok {
		s.report.callsDuringRestore.note(fault.Code)
	} else if err == nil {
		s.report.callsDuringRestore.note("an answer")
	}
}
