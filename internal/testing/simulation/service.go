package simulation

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
)

// behaviour describes how a service behaves. Another service is another value of it, and a service that shows more of
// an operation gets another field here.
type behaviour struct {
	// Type is the type of its resources.
	Type string
	// Exclusive says that it rejects a second operation while one is under way. Otherwise the second runs beside the
	// first.
	Exclusive bool
	// Visible says that it shows that it has not settled while an operation is under way.
	Visible bool
	// Longest is the index in durations of the longest time that operations take.
	Longest int
	// Looks says that it checks itself whether it can make the backup, which takes a further call.
	Looks bool
	// Parts is the largest number of calls for the hash of an artifact.
	Parts int
	// Forgets is the time after its end for which an operation can still be asked about.
	Forgets time.Duration
	// Names says that it names its artifacts itself, by the time of their start on its own clock, which is Skew ahead.
	// The artifacts are folders then, and it proves them.
	Names bool
	Skew  time.Duration
	// Grows says that a folder is there before it is complete, and that a part of it stays after the backup failed.
	Grows bool
	// Blind says that it does not show whether a folder can be restored.
	Blind bool
	// Passing says that it fails some backups for a reason that may pass. It may leave a torn artifact then, under the name that was
	// asked for.
	Passing bool
	// Prompt says that a backup has ended when its start is answered.
	Prompt bool
	// Remade says that a restore makes it again after its deletion. Hidden says that it is then seen only at the end.
	// Wrecks says that a failed restore leaves something.
	Remade, Hidden, Wrecks bool
	// Fresh says that it requires its own backup of the last half hour before a restore. Away says that it answers no
	// poll during a restore. Orphans is the time after a restore for which the app's role is gone.
	Fresh, Away bool
	Orphans     time.Duration
}

// newBehaviour draws the behaviour of API Management, of Managed HSM, or of Managed CCF. The backups of Managed CCF behave like API
// Management's here.
func newBehaviour(c *choices) behaviour {
	w := behaviour{
		Type: "Microsoft.ApiManagement/service", Exclusive: oneOf(c, true, false), Visible: oneOf(c, false, true),
		Longest: oneOf(c, 1, 3, 4, 5, 6, 9), Parts: oneOf(c, 1, 1, 3), Looks: oneOf(c, false, true),
		Forgets: oneOf(c, 24*time.Hour, time.Hour),
	}
	switch c.pick(4) {
	case 3:
		w.Type, w.Exclusive, w.Visible, w.Looks, w.Remade = "Microsoft.ConfidentialLedger/managedCCFs", true, false, false, true
		w.Hidden, w.Wrecks = oneOf(c, false, true), oneOf(c, false, true)
	case 2:
		// It takes one operation at a time, and does not show which.
		w.Fresh, w.Away, w.Orphans = oneOf(c, false, true), oneOf(c, false, true), oneOf(c, 0, 0, 10*time.Minute, 40*time.Minute, 3*time.Hour)
		w.Type, w.Exclusive, w.Visible, w.Looks, w.Names = "Microsoft.KeyVault/managedHSMs", true, false, true, true
		w.Prompt = oneOf(c, false, true)
		w.Skew, w.Grows, w.Blind = oneOf(c, 0, 3*time.Second, -3*time.Second), oneOf(c, false, true), oneOf(c, false, true)
	}
	w.Passing = oneOf(c, false, true)
	return w
}

var durations = []time.Duration{
	20 * time.Second, 90 * time.Second, 5 * time.Minute, 10 * time.Minute, 25 * time.Minute, 50 * time.Minute, 2 * time.Hour,
	5 * time.Hour, 9 * time.Hour, 30 * time.Hour,
}

// service is one of Azure's services, with the container that it writes to.
type service struct {
	w         *World
	behaviour behaviour
	name      string
	target    string
	ops       []*operation
	blobs     []*blob
	// stormy is the end of the time in which the service throttles all callers. denied is the end of the time in which it
	// refuses the app's identity. locked is the end of the time in which the storage protects its blobs from deletion.
	stormy, denied, locked time.Time
	// shrunk is the end of the time in which it holds so little that its backups are small.
	shrunk time.Time
	// gone says that a person deleted it. wreck says that only the rest of a failed restore is there.
	gone, wreck bool
	// backedUp is the time at which its own backup last ended well.
	backedUp time.Time
	// starts counts the accepted starts of each artifact.
	starts map[string]int
	// shows says that Azure shows its changes, and edits are the changes during its backups.
	shows bool
	edits []edit
}

// operation is a backup or a restore that the service accepted.
type operation struct {
	token, run string
	// attempt is the artifact in the request. artifact is the artifact that the operation leaves; a service that names
	// its artifacts gives it another name.
	attempt, artifact string
	began, ends       time.Time
	size              int64
	fails             bool
	// passes says that it fails for a reason that may pass.
	passes bool
	// bad names the defect of the artifact, which may exist although the operation succeeds.
	bad     string
	settled bool
	// restore is the restore that it makes; nil for a backup.
	restore *backup.Restore
}

// blob is an artifact, which may be a folder.
type blob struct {
	name, run, etag string
	// content stands for its bytes.
	content string
	size    int64
	// begun is the time in its name, if it has one.
	begun, modified time.Time
	// broken says that the service cannot restore it.
	broken bool
	// tampered is the time at which a person overwrote it; zero if it is unchanged.
	tampered time.Time
}

const account = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/" +
	"Microsoft.Storage/storageAccounts/simulated"

// accountAfter returns the resource ID of the storage account after so many moves to other groups.
func accountAfter(moves int) string {
	return strings.Replace(account, "/rg/", "/"+strings.Repeat("moved-", moves)+"rg/", 1)
}

func newService(w *World, n int) *service {
	s := &service{w: w, name: fmt.Sprintf("s%d", n+1), behaviour: newBehaviour(w.choices), starts: map[string]int{}}
	s.target = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/" + s.behaviour.Type + "/" + s.name
	if w.options.Calm {
		s.behaviour.Longest = min(s.behaviour.Longest, len(durations)-2) // a run gives up an operation of the longest time
		s.behaviour.Orphans = 0
	}
	return s
}

// calm ends all storms.
func (s *service) calm() {
	s.stormy, s.denied, s.locked, s.shrunk = time.Time{}, time.Time{}, time.Time{}, time.Time{}
}

func (w *World) service(target string) *service {
	for _, s := range w.services {
		if strings.EqualFold(s.target, target) {
			return s
		}
	}
	panic("nobody knows the target " + target)
}

// settle writes the artifacts of the operations that have ended.
func (s *service) settle() {
	for _, o := range s.ops {
		if o.settled || o.ends.After(s.w.now) {
			continue
		}
		o.settled = true
		switch {
		case o.restore != nil:
			s.settleRestore(o)
			continue
		case o.fails && o.bad == "", o.bad == "missing":
			continue
		case !o.fails:
			s.backedUp = o.ends
		}
		b := &blob{
			name: o.artifact, run: o.run, etag: "e-" + o.token, content: o.token, size: o.size, begun: o.began.Add(s.behaviour.Skew),
			modified: o.ends.Truncate(time.Second), broken: o.bad == "broken",
		}
		if o.bad == "empty" {
			b.size = 0
		}
		s.blobs = slices.DeleteFunc(s.blobs, func(old *blob) bool { return old.name == b.name })
		s.blobs = append(s.blobs, b)
	}
	// An operation is forgotten once nothing can ask about it any more.
	s.ops = slices.DeleteFunc(s.ops, func(o *operation) bool { return o.settled && s.w.now.Sub(o.ends) > 5*day })
}

func (s *service) busy() *operation {
	for _, o := range s.ops {
		// Two folders cannot have one second in their names, and no real backup takes less.
		if o.ends.After(s.w.now) || s.behaviour.Names && s.w.now.Sub(o.began) < time.Second {
			return o
		}
	}
	return nil
}

func (s *service) blob(name string) *blob {
	for _, b := range s.blobs {
		if b.name == name {
			return b
		}
	}
	return nil
}

func digestOf(b *blob) string {
	sum := sha256.Sum256([]byte(b.name + b.content))
	return hex.EncodeToString(sum[:])
}

// fault makes the fault of a service that does not do the requested work.
func fault(kind backup.FaultKind, code string, after time.Duration) *backup.Fault {
	return &backup.Fault{Kind: kind, Code: code, Message: "the simulation says " + code, RetryAfter: after}
}

// front draws what may keep a call from its answer: its delays, its storms, and its refusals without a reason.
func (v *invocation) front(end time.Time, s *service, what string) *backup.Fault {
	if d := v.delay(); d > 0 {
		limit := end.Sub(v.w.now)
		v.wait(max(0, min(d, limit)))
		if d >= limit {
			v.say("%s: NO ANSWER in time", what)
			return fault(backup.Ambiguous, "DeadlineExceeded", 0)
		}
	}
	s.settle()
	if v.on.app.denied {
		v.say("%s: the app %s has NO ROLE", what, v.on.app.name)
		return fault(backup.Refused, "AuthorizationFailed", 0)
	}
	if s.stormy.After(v.w.now) {
		return v.storm(what)
	}
	if v.w.happens(v.w.faultProfile.serviceFails) {
		v.w.figures.ServiceFaults++
		return v.storm(what)
	}
	return nil
}

// step runs before a call by which a run goes on. It returns the time at which the call must end.
func (v *invocation) step(ctx context.Context, what string) (end time.Time, err error) {
	end = v.w.now.Add(span(ctx))
	v.w.check(stepped{v, what})
	return end, v.before(what)
}

// storm makes the answer of a service that is throttled or away.
func (v *invocation) storm(what string) *backup.Fault {
	v.w.disturb()
	v.w.figures.ServiceFaults++
	f := oneOf(v.w.choices,
		fault(backup.Throttled, "TooManyRequests", 17*time.Second), fault(backup.Throttled, "TooManyRequests", 5*time.Minute),
		fault(backup.Ambiguous, "ServiceUnavailable", 0), fault(backup.Retryable, "Unreachable", 0),
		fault(backup.Throttled, "TooManyRequests", 3*time.Hour))
	v.say("%s: %s", what, f.Code)
	return f
}

// Preflight implements [backup.Provider].
func (v *invocation) Preflight(ctx context.Context, a backup.Attempt) error {
	what := "preflight"
	end, err := v.step(ctx, what)
	if err != nil {
		return err
	}
	s := v.w.service(a.Target)
	defer v.after(what)
	if f := v.front(end, s, what); f != nil {
		if f.Kind == backup.Ambiguous {
			f.Kind = backup.Retryable
		}
		return f
	}
	if s.gone || s.wreck || v.w.happens(v.w.faultProfile.operationFails/4) {
		v.say("%s: REFUSED", what)
		return fault(backup.Refused, "WouldFail", 0)
	}
	v.hum("%s: yes", what)
	return nil
}

// Prepare implements [backup.Provider]. Some services make a check of their own, and take their time over it.
func (v *invocation) Prepare(ctx context.Context, a backup.Attempt, token string) (backup.Operation, error) {
	const what = "prepare"
	end, err := v.step(ctx, what)
	if err != nil {
		return backup.Operation{}, err
	}
	s := v.w.service(a.Target)
	defer v.after(what)
	if f := v.front(end, s, what); f != nil {
		return backup.Operation{}, f
	}
	if token == "" && s.behaviour.Looks {
		v.hum("%s: the service looks", what)
		return backup.Operation{Token: "look", RetryAfter: 10 * time.Second}, nil
	}
	v.hum("%s: yes", what)
	return backup.Operation{Done: true}, nil
}

// Begin implements [backup.Provider]. The request can be lost before it arrives or after, come late, and be rejected.
func (v *invocation) Begin(ctx context.Context, a backup.Attempt) (backup.Operation, error) {
	what := ""
	if v.w.trace.on {
		what = "begin " + v.w.ledger.artifactName(a.Artifact)
	}
	end, err := v.step(ctx, what)
	if err != nil {
		return backup.Operation{}, fault(backup.Retryable, "NotSent", 0)
	}
	if !end.After(v.w.now) {
		v.say("%s: no time is left, NOT SENT", what)
		v.after(what)
		return backup.Operation{}, fault(backup.Retryable, "NotSent", 0)
	}
	s := v.w.service(a.Target)
	v.w.ledger.asked(v.w, a)
	c := &v.w.faultProfile
	// A request whose sender gave up can still be on its way for as long as the engine allows for that.
	limit, way := end.Sub(v.w.now), time.Duration(0)
	if v.turns && v.w.happens(c.slow) {
		way = oneOf(v.w.choices, time.Second, 30*time.Second, 90*time.Second, 150*time.Second, 200*time.Second)
		way = min(way, limit+engine.DefaultTimings().LeaseMargin-2*time.Second)
	}
	if way >= limit {
		v.say("%s: GIVEN UP after %s, and arrives %s later", what, limit, way-limit)
		v.w.in(way, func() { v.accept(s, a, nil) })
		v.wait(limit)
		v.answered(a, backup.Ambiguous)
		v.after(what)
		return backup.Operation{}, fault(backup.Ambiguous, "AnswerLost", 0)
	}
	v.wait(way)
	s.settle()
	operation, f := v.begin(s, a, what)
	if f != nil {
		v.answered(a, f.Kind)
		v.after(what)
		return backup.Operation{}, f
	}
	v.after(what)
	return operation, nil
}

// begin handles the request in the service.
func (v *invocation) begin(s *service, a backup.Attempt, what string) (backup.Operation, *backup.Fault) {
	c := &v.w.faultProfile
	switch {
	case s.denied.After(v.w.now), s.gone, s.wreck:
		v.say("%s: DENIED", what)
		return backup.Operation{}, fault(backup.Refused, "AuthorizationFailed", 0)
	case s.stormy.After(v.w.now), v.w.happens(c.serviceFails):
		v.w.figures.ServiceFaults++
		return backup.Operation{}, v.storm(what)
	case v.w.happens(c.startLost):
		v.w.figures.LostStarts++
		if s.behaviour.Names && v.w.choices.pick(4) == 3 {
			v.w.in(oneOf(v.w.choices, 2*time.Minute, time.Second, 10*time.Minute), s.stranger)
		}
		switch v.w.choices.pick(3) {
		case 0:
			v.accept(s, a, nil)
			v.say("%s: ACCEPTED, and the answer is LOST", what)
		case 1:
			v.say("%s: LOST on its way", what)
		default:
			late := oneOf(v.w.choices, 5*time.Second, 50*time.Second)
			v.say("%s: NO ANSWER, and it is accepted %s later", what, late)
			v.w.in(late, func() { v.accept(s, a, nil) })
		}
		return backup.Operation{}, fault(backup.Ambiguous, "AnswerLost", 0)
	case s.behaviour.Exclusive && s.busy() != nil, s.restoring() != nil:
		v.say("%s: BUSY", what)
		return backup.Operation{}, fault(backup.Retryable, "ServiceUpdating", oneOf(v.w.choices, 30*time.Second, 10*time.Minute))
	}
	var o *operation
	v.accept(s, a, &o)
	if o == nil {
		return backup.Operation{}, fault(backup.Retryable, "ServiceUpdating", 0)
	}
	v.hum("%s: accepted, ends in %s", what, o.ends.Sub(v.w.now))
	if !o.ends.After(v.w.now) && !o.fails {
		s.settle()
		done := backup.Operation{Done: true}
		if s.behaviour.Names {
			done.Artifact = o.artifact
		}
		return done, nil
	}
	return backup.Operation{Token: o.token, RetryAfter: oneOf(v.w.choices, 0, time.Minute, 20*time.Second)}, nil
}

// accept begins the operation, if the service takes it.
func (v *invocation) accept(s *service, a backup.Attempt, told **operation) {
	w := v.w
	if s.settle(); s.behaviour.Exclusive && s.busy() != nil || s.restoring() != nil || s.gone {
		return
	}
	w.figures.Operations++
	o := &operation{
		token: fmt.Sprintf("op%d", w.figures.Operations), run: a.Run, attempt: a.Artifact, artifact: a.Artifact, began: w.now,
		size: s.size(),
	}
	if s.behaviour.Names {
		o.artifact = s.folder()
	}
	// Most operations are short: they take the shorter of two times, because an operation that is polled all day costs as
	// much as ten others. An operation without polls, because its start was lost, is as likely to be long.
	long := w.choices.pick(s.behaviour.Longest + 1)
	if told != nil {
		long = min(long, w.choices.pick(s.behaviour.Longest+1))
	}
	o.ends = w.now.Add(durations[long])
	if s.behaviour.Prompt && told != nil {
		o.ends = w.now
	}
	worst := 2
	if s.behaviour.Names && !s.behaviour.Blind {
		worst = 3 // the service would report it
	}
	if w.happens(w.faultProfile.operationFails) {
		o.fails = true
		o.bad = oneOf(w.choices, []string{"", "empty", "broken"}[:worst]...)
		if o.passes = s.behaviour.Passing && w.choices.chance(700); o.passes && o.bad == "" && !s.behaviour.Names {
			o.bad = oneOf(w.choices, "", "torn")
		}
	} else if w.happens(w.faultProfile.artifactBad) {
		o.bad = oneOf(w.choices, []string{"empty", "missing", "broken"}[:worst]...)
	}
	if told != nil {
		*told = o
	}
	s.starts[a.Artifact]++
	w.check(began{service: s, operation: o, attempt: a})
	s.ops = append(s.ops, o)
	s.edit(o)
}

// stranger lets another person back the service up into the same container, perhaps in the Azure portal.
func (s *service) stranger() {
	if s.settle(); s.busy() != nil || s.w.ending || s.gone {
		return
	}
	s.w.disturb()
	s.w.note(nil, "A STRANGER backs up %s", s.name)
	s.ops = append(s.ops, &operation{
		token: "stranger-" + s.w.newID(), artifact: s.folder(), began: s.w.now, ends: s.w.now.Add(durations[s.w.choices.pick(3)]),
		size: s.size(),
	})
}

// folder returns the name of a folder that is begun now.
func (s *service) folder() string {
	stamp := s.w.now.Add(s.behaviour.Skew).UTC().Format("20060102150405.00")
	return folderPrefix + s.name + "-" + strings.Replace(stamp, ".", "", 1)
}

// folderPrefix begins the names of the folders that a service names itself.
const folderPrefix = "mhsm-"

// size draws the size of the next artifact. Services grow a little.
func (s *service) size() int64 {
	w := s.w
	switch {
	case s.shrunk.After(w.now):
		return 300 + int64(w.choices.pick(100))
	case w.happens(w.faultProfile.artifactSmall):
		return oneOf(w.choices, int64(400), 480, 90)
	}
	return 1000 + int64(w.choices.pick(50))
}

// Poll implements [backup.Provider].
func (v *invocation) Poll(ctx context.Context, a backup.Attempt, token string) (backup.Operation, error) {
	what := "poll " + token
	end, err := v.step(ctx, what)
	if err != nil {
		return backup.Operation{}, fault(backup.Retryable, "NotSent", 0)
	}
	v.w.figures.Polls++
	s := v.w.service(a.Target)
	defer v.after(what)
	if f := v.front(end, s, what); f != nil {
		return backup.Operation{}, f
	}
	i := slices.IndexFunc(s.ops, func(o *operation) bool { return o.token == token })
	switch {
	case s.denied.After(v.w.now), s.gone:
		v.say("%s: DENIED", what)
		return backup.Operation{}, fault(backup.Unobservable, "AuthorizationFailed", 0)
	case i < 0, v.w.now.Sub(s.ops[i].ends) > s.behaviour.Forgets:
		v.w.disturb()
		v.say("%s: FORGOTTEN", what)
		return backup.Operation{}, fault(backup.Unobservable, "NotFound", 0)
	case s.ops[i].ends.After(v.w.now):
		v.hum("%s: in progress", what)
		return backup.Operation{Token: token, RetryAfter: oneOf(v.w.choices, 0, 0, 0, time.Minute, 15*time.Second, time.Hour)}, nil
	case s.ops[i].fails && s.ops[i].passes:
		v.say("%s: FAILED for a reason that may pass", what)
		v.w.ledger.runs[a.Run].toldFailed(s.ops[i], v.w.now)
		return backup.Operation{}, fault(backup.Passing, "InternalServerError", 0)
	case s.ops[i].fails:
		v.hum("%s: failed", what)
		v.w.ledger.runs[a.Run].toldFailed(s.ops[i], v.w.now)
		return backup.Operation{}, fault(backup.Refused, "BackupFailed", 0)
	}
	v.hum("%s: done", what)
	o := backup.Operation{Done: true}
	if s.behaviour.Names {
		o.Artifact = s.ops[i].artifact
	}
	return o, nil
}

// Find implements [backup.Provider].
func (v *invocation) Find(ctx context.Context, a backup.Attempt) (string, error) {
	what := "find"
	end, err := v.step(ctx, what)
	if err != nil {
		return "", err
	}
	v.w.figures.Looks++
	s := v.w.service(a.Target)
	found, err := v.find(end, s, a, what)
	v.look = &look{run: a.Run, found: found, err: err}
	v.after(what)
	return found, err
}

func (v *invocation) find(end time.Time, s *service, a backup.Attempt, what string) (string, error) {
	if f := v.front(end, s, what); f != nil {
		return "", f
	}
	if s.denied.After(v.w.now) || s.gone {
		v.say("%s: DENIED", what)
		return "", fault(backup.Unobservable, "AuthorizationFailed", 0)
	}
	if s.behaviour.Visible && s.busy() != nil {
		v.hum("%s: not settled", what)
		return "", fault(backup.Retryable, "ServiceNotSettled", 0)
	}
	if s.behaviour.Names {
		return v.findFolder(s, a, what)
	}
	var newest *blob
	for _, b := range s.blobs {
		if b.run == a.Run && b.size > 0 && !slices.Contains(a.Torn, b.name) && (newest == nil || !b.modified.Before(newest.modified)) {
			newest = b
		}
	}
	if newest == nil {
		v.hum("%s: nothing", what)
		return "", nil
	}
	v.hum("%s: there is a backup", what)
	return newest.name, nil
}

// findFolder looks for the one folder that was begun while the answer was awaited, as managedhsm does.
func (v *invocation) findFolder(s *service, a backup.Attempt, what string) (string, error) {
	// The clocks may be apart.
	const tolerance = 5 * time.Second
	within := func(begun time.Time) bool {
		return slices.ContainsFunc(a.Lost, func(w backup.Window) bool {
			return !begun.Before(w.From.Add(-tolerance)) && !begun.After(w.To.Add(tolerance))
		})
	}
	candidates, written := 0, time.Time{}
	name := ""
	for _, b := range s.blobs {
		if within(b.begun) && !slices.Contains(a.Taken, b.name) {
			candidates++
			name, written = b.name, b.modified
			if b.size == 0 {
				written = v.w.now // nothing was written yet, as far as it shows
			}
		}
	}
	for _, o := range s.ops {
		if !o.settled && o.restore == nil && s.behaviour.Grows && within(o.began.Add(s.behaviour.Skew)) && !slices.Contains(a.Taken, o.artifact) {
			candidates++
			name, written = o.artifact, v.w.now
		}
	}
	switch {
	case candidates == 0:
		v.hum("%s: nothing", what)
		return "", nil
	case candidates > 1:
		v.w.figures.Ambiguous++
		v.say("%s: %d folders, and NOTHING TELLS which is the run's", what, candidates)
		return "", fault(backup.Refused, "Ambiguous", 0)
	case v.w.now.Sub(written) < a.QuietPeriod:
		v.hum("%s: %s is still being written", what, name)
		return "", fault(backup.Retryable, "StillBeingWritten", 0)
	}
	v.hum("%s: %s", what, name)
	return name, nil
}

// Hash implements [backup.Provider].
func (v *invocation) Hash(ctx context.Context, a backup.Attempt, done backup.Hashing) (backup.Verification, error) {
	what := "verify"
	end, err := v.step(ctx, what)
	if err != nil {
		return backup.Verification{}, err
	}
	s := v.w.service(a.Target)
	defer v.after(what)
	if f := v.front(end, s, what); f != nil {
		return backup.Verification{}, f
	}
	if v.loaded != nil && v.loaded.Restore != nil && v.loaded.Restore.Artifact == a.Artifact {
		s = v.w.service(v.loaded.Restore.Source) // the artifact of another service is read
	}
	b := s.blob(a.Artifact)
	switch {
	case b == nil:
		v.hum("%s: missing", what)
		return backup.Verification{}, fault(backup.Refused, "ArtifactMissing", 0)
	case b.size == 0:
		v.hum("%s: empty", what)
		return backup.Verification{}, fault(backup.Refused, "ArtifactEmpty", 0)
	case b.modified.Before(a.NotBefore.Add(-5 * time.Second)):
		v.hum("%s: too old", what)
		return backup.Verification{}, fault(backup.Refused, "ArtifactTooOld", 0)
	case done.Offset > 0 && done.ETag != b.etag:
		return backup.Verification{}, nil
	}
	part := cmp.Or(b.size/int64(1+v.w.choices.pick(s.behaviour.Parts)), 1)
	offset := min(done.Offset+part, b.size)
	result := backup.Verification{
		Hashing: backup.Hashing{ETag: b.etag, Offset: offset, State: []byte("state")}, Size: b.size, Modified: b.modified,
	}
	if offset == b.size {
		result.Done, result.SHA256 = true, digestOf(b)
	}
	if result.Done && s.behaviour.Names {
		half := b.size / 2
		result.Files = []backup.File{
			{Name: "keys", Size: half, ETag: b.etag, SHA256: result.SHA256},
			{Name: "roles", Size: b.size - half, ETag: b.etag, SHA256: result.SHA256},
		}
	}
	v.hum("%s: %d of %d", what, offset, b.size)
	return result, nil
}

// Prove implements [backup.Provider]. A service that names its artifacts checks them itself, unless the app may not ask.
func (v *invocation) Prove(ctx context.Context, a backup.Attempt, token string) (backup.Operation, error) {
	const what, proving = "prove", "proving"
	s := v.w.service(a.Target)
	if !s.behaviour.Names {
		return backup.Operation{Done: true}, nil
	}
	end, err := v.step(ctx, what)
	if err != nil {
		return backup.Operation{}, err
	}
	defer v.after(what)
	if f := v.front(end, s, what); f != nil {
		return backup.Operation{}, f
	}
	b := s.blob(a.Artifact)
	switch {
	case s.behaviour.Blind:
		v.hum("%s: not allowed", what)
		return backup.Operation{Done: true, Warning: "verified by its hashes only"}, nil
	case b == nil || token != "" && b.broken:
		v.hum("%s: it cannot be restored", what)
		return backup.Operation{}, fault(backup.Refused, "RestoreWouldFail", 0)
	case token == "":
		v.hum("%s: begun", what)
		return backup.Operation{Token: proving, RetryAfter: oneOf(v.w.choices, 0, 10*time.Second)}, nil
	}
	v.hum("%s: done", what)
	return backup.Operation{Done: true, Asked: true}, nil
}

// Delete implements [backup.Provider].
func (v *invocation) Delete(ctx context.Context, a backup.Attempt, etag string, extras bool) error {
	what := "delete"
	if v.w.trace.on {
		what = "delete " + v.w.ledger.artifactName(a.Artifact)
		if extras {
			what = "delete all but " + v.w.ledger.artifactName(a.Artifact)
		}
	}
	end := v.w.now.Add(span(ctx))
	if err := v.before(what); err != nil {
		return err
	}
	s := v.w.service(a.Target)
	defer v.after(what)
	if f := v.front(end, s, what); f != nil {
		return f
	}
	switch b := s.blob(a.Artifact); {
	case s.denied.After(v.w.now):
		v.say("%s: DENIED", what)
		return fault(backup.Unobservable, "AuthorizationFailed", 0)
	case extras && s.behaviour.Names:
		v.hum("%s: nothing tells whose they are", what)
		return nil
	case s.locked.After(v.w.now) && !extras && b != nil:
		v.say("%s: KEPT", what)
		v.keeps = append(v.keeps, a.Run)
		f := fault(backup.Kept, "BlobImmutableDueToPolicy", 0)
		f.Until = oneOf(v.w.choices, time.Time{}, s.locked)
		return f
	case s.locked.After(v.w.now) && slices.ContainsFunc(s.blobs, func(o *blob) bool { return o.run == a.Run && o != b }):
		v.say("%s: PROTECTED", what)
		return fault(backup.Refused, "BlobImmutableDueToPolicy", 0)
	case !extras && b != nil && etag != "" && b.etag != etag:
		v.say("%s: TOUCHED", what)
		return fault(backup.Touched, "ConditionNotMet", 0)
	}
	breaks := v.w.happens(v.w.faultProfile.serviceFails)
	for _, b := range slices.Clone(s.blobs) {
		if s.behaviour.Names && b.name != a.Artifact || !s.behaviour.Names && (b.run != a.Run || extras && b.name == a.Artifact) {
			continue
		}
		s.blobs = slices.DeleteFunc(s.blobs, func(o *blob) bool { return o == b })
		v.w.figures.Deletions++
		v.w.check(removed{v: v, run: a.Run, blob: b, extra: extras || b.name != a.Artifact})
		if breaks {
			v.say("%s: BREAKS in the middle", what)
			return fault(backup.Ambiguous, "AnswerLost", 0)
		}
	}
	v.hum("%s: gone", what)
	return nil
}
