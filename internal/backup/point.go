package backup

import (
	"context"
	"encoding/json"
	"strings"
	"time"
)

// PointState is where a recovery point stands.
type PointState string

const (
	// Live: it can be restored.
	Live PointState = "live"
	// Suspect: it can be restored, but is far smaller than those before it. It protects nothing until it is accepted.
	Suspect PointState = "suspect"
	// Deleting: cleanup decided to delete it, and may have done so.
	Deleting PointState = "deleting"
	// Expired: its artifact is gone.
	Expired PointState = "expired"
	// CopyOnly is what a live one is called outside of which Azure can restore nothing. No row has this state.
	CopyOnly PointState = "copyOnly"
	// Unreadable is that of a row which this version cannot read, with the reason: it says nothing of the point but its ID. As
	// long as a target has one, nothing of the target is deleted or restored. No row has this state.
	Unreadable PointState = "unreadable"
)

// Point is a recovery point: what a succeeded, verified run left. Its row stands beside that of the run.
type Point struct {
	// ID is that of the run.
	ID     string     `json:"ID"`
	State  PointState `json:"State"`
	Target string     `json:"Target"`
	Plan   string     `json:"Plan"`
	// Storage and Artifact say where it is.
	Storage  Storage `json:"Storage"`
	Artifact string  `json:"Artifact"`
	// SKU is the tier of the service that it is of: API Management restores into a service of the same tier only. "" if it
	// is not known.
	SKU  string `json:"SKU,omitempty"`
	ETag string `json:"ArtifactETag"`
	// Size in bytes, and the SHA-256 of the content in hex.
	Size   int64  `json:"Size"`
	SHA256 string `json:"SHA256"`
	// Created is when the artifact was written, by the storage's clock; Expires is when it may be deleted.
	Created time.Time `json:"Created"`
	Expires time.Time `json:"Expires"`
	Deleted time.Time `json:"Deleted,omitzero"`
	// Reason is why it was deleted, or why that did not succeed.
	Reason Reason `json:"Reason,omitzero"`
	// Note says what of it could not be checked, and why.
	Note string `json:"Note,omitempty"`
	// Suspicion is why it is suspect, or was until it was accepted.
	Suspicion Reason `json:"Suspicion,omitzero"`
	// Readers are the IDs of restores that read it. One that has ended counts for nothing.
	Readers []string `json:"Readers,omitempty"`
	// Safety: it is what a restore was about to overwrite. It can be restored by its ID, but is not what the target should be
	// like: it protects nothing, and nothing else is measured by it.
	Safety bool `json:"Safety,omitempty"`
	// Held keeps it from being deleted, whatever its time.
	Held Hold `json:"Held,omitzero"`
	// Accepted says who took it for good all the same; zero if nobody did, or had to.
	Accepted Acceptance `json:"Accepted,omitzero"`
	// Storage keeps it past its time; zero if it does not, as far as is known.
	KeptByStorage KeptByStorage `json:"KeptByStorage,omitzero"`
	// LedgerBackup: it is of a Confidential Ledger, and was written while Azure could restore one. Any other
	// point of a ledger is a copy.
	LedgerBackup bool `json:"LedgerBackup,omitempty"`

	carried
	// etag is that of the row, as it was read or written last.
	etag string `json:"-"`
}

// Hold is why a recovery point must stay, and until when.
type Hold struct {
	Until  time.Time `json:"until"`
	Reason string    `json:"reason"`
}

// KeptByStorage is that storage refused to delete an artifact, which can be restored as before.
type KeptByStorage struct {
	// Until is when storage lets go of it; zero where it does not say, as of a lease or a legal hold.
	Until time.Time `json:"until,omitzero"`
	// Again is when its deletion is tried again: somebody may end the protection before.
	Again time.Time `json:"again"`
	// Reason has storage's code and words, and what to do.
	Reason Reason `json:"reason"`
}

// longestKept is how long what storage keeps is left alone at the most, whatever storage says, in Waits.Recheck: a week.
const longestKept = 28

// keptByStorage notes a refusal.
func (w Waits) keptByStorage(f *Fault, now time.Time) KeptByStorage {
	wait := min(max(f.Until.Sub(now), w.Recheck), longestKept*w.Recheck)
	return KeptByStorage{Until: f.Until, Again: now.Add(wait), Reason: f.reason()}
}

func (k KeptByStorage) String() string {
	until := ", which does not say until when"
	if !k.Until.IsZero() {
		until = " until " + k.Until.UTC().Format(time.RFC3339)
	}
	return "kept by storage" + until + ": " + k.Reason.Message
}

// Acceptance is why a suspect recovery point counts as verified.
type Acceptance struct {
	Time time.Time `json:"time"`
	// By is "invocation <ID>" for a person's request, whose log line has the same ID, or "run <ID>" for the run whose
	// recovery point was the third like it.
	By     string `json:"by"`
	Reason string `json:"reason,omitempty"`
}

func newPoint(r Run, v Verification) Point {
	return Point{
		ID: r.ID, State: Live, Target: r.Target, Plan: r.Plan, Storage: r.Settings.Storage, Artifact: r.Artifact, SKU: r.SKU,
		ETag: v.Hashing.ETag, Size: v.Size, SHA256: v.SHA256, Note: reason("", v.Note, "").Message,
		Created: v.Modified, Expires: v.Modified.Add(r.Settings.KeepWithin),
		LedgerBackup: isLedger(r.Target) && !r.Settings.CopyOnly(r.Target),
	}
}

// CopyOnly says that Azure can restore nothing from it: it is a copy that can be read, and no backup.
func (p Point) CopyOnly() bool { return isLedger(p.Target) && !p.LedgerBackup }

// Called is its state as people and other systems are told it.
func (p Point) Called() PointState {
	if p.State == Live && p.CopyOnly() {
		return CopyOnly
	}
	return p.State
}

// key is beside that of the run.
func (p Point) key() Key {
	partition, row, _ := strings.Cut(p.ID, "-")
	return Key{Partition: partition, Row: pointPrefix + row}
}

const pointPrefix = "point-"

// unreadablePoint stands for a row that this version cannot read.
func unreadablePoint(row Row, target string, err error) Point {
	return Point{
		ID: row.Partition + "-" + strings.TrimPrefix(row.Row, pointPrefix), State: Unreadable, Target: target, Reason: unreadableRow(err),
	}
}

// unreadableRow says why nothing is deleted or restored.
func unreadableRow(err error) Reason {
	return reason("RowUnreadable", err.Error(), "Deploy the version of Lifeboat that wrote it again. If it is nobody's, delete it from the table.")
}

// live says that the point can be restored, and counts as verified.
func (p Point) live() bool { return p.State == Live && !p.Safety }

// unaccepted says that the point was suspect, and nobody took it for good.
func (p Point) unaccepted() bool { return p.Suspicion.Code != "" && p.Accepted.Time.IsZero() }

// trusted says that the point's size tells what is normal for the target, whether or not the artifact is still there.
func (p Point) trusted() bool {
	return !p.Safety && p.State != Unreadable && !p.unaccepted()
}

// replace is the write of the point as it is now, under the ETag that was read.
func (p Point) replace() Write {
	return Write{Op: Replace, Key: p.key(), ETag: p.etag, Body: encode(p)}
}

// claim is the row that says whose an artifact is. It is only ever inserted, in the transaction that makes the recovery
// point: so no two points of a target name one artifact, whatever a provider found.
type claim struct {
	Artifact string `json:"Artifact"`
	Point    string `json:"Point"`
}

const claimPrefix = "artifact-"

func (p Point) claimKey() Key {
	return Key{Partition: p.key().Partition, Row: claimPrefix + digest(p.place(), 32)}
}

// place is where the artifact is, as one text.
func (p Point) place() string {
	return strings.ToLower(p.Storage.Account) + "\n" + p.Storage.Container + "\n" + p.Artifact
}

// insert are the writes that make the point, with its claim and the list of its files.
func (p Point) insert(files []File) []Write {
	return append([]Write{
		{Op: Insert, Key: p.key(), Body: encode(p)},
		{Op: Insert, Key: p.claimKey(), Body: encode(claim{Artifact: p.Artifact, Point: p.ID})},
	}, p.list(files)...)
}

// taken are the artifacts that other runs of the target hold and that are young enough to be taken for those of the
// attempt's lost starts.
func (e *Engine) taken(ctx context.Context, a Attempt) ([]string, error) {
	since := a.NotBefore
	for _, w := range a.Lost {
		if w.From.Before(since) {
			since = w.From
		}
	}
	oldest := countdown(since.Add(-longestRun * e.Waits.Operation))
	points, err := e.points(ctx, a.Target, "point-"+oldest)
	if err != nil {
		return nil, err
	}
	runs, err := e.runs(ctx, a.Target, "run-"+oldest)
	if err != nil {
		return nil, err
	}
	var taken []string
	for _, p := range points {
		if p.ID != a.Run {
			taken = append(taken, p.Artifact)
		}
	}
	for _, r := range runs {
		// The name that was asked for is not what a service calls it that names artifacts itself.
		if r.ID != a.Run && r.Artifact != "" && !strings.HasPrefix(r.Artifact, r.ID+".") {
			taken = append(taken, r.Artifact)
		}
	}
	return taken, nil
}

func (p Point) attempt() Attempt {
	return Attempt{Target: p.Target, Storage: p.Storage, Run: p.ID, Artifact: p.Artifact}
}

// Decision says what becomes of a recovery point, and why.
type Decision struct {
	Point  Point
	Keep   bool
	Reason string
}

// Retain decides about all the recovery points of one target at an instant. A point past its time expires, except the
// newest live one, whatever its age: it is the best thing to restore from. A suspect one, or a safety backup, is kept for
// its time, but does not stand in for a live one. A held point stays, and so does one that a restore reads: Readers are the
// restores that have not ended. A point that storage keeps is left alone until its deletion is to be tried again. One that
// expired before it was written, or as it was, stays for good: its expiry is a mistake. And where one cannot be read all stay: nobody knows
// what it is for.
func Retain(points []Point, now time.Time) []Decision {
	newest, unread := -1, ""
	for i, p := range points {
		if p.State == Unreadable {
			unread = "nothing of the target is deleted: " + p.Reason.Message
		}
		if p.live() && (newest < 0 || p.Created.After(points[newest].Created)) {
			newest = i
		}
	}
	decisions := make([]Decision, 0, len(points))
	for i, p := range points {
		d := Decision{Point: p}
		switch {
		case p.State == Expired:
			continue
		case unread != "":
			d.Keep, d.Reason = true, unread
		case !p.Expires.After(p.Created):
			d.Keep, d.Reason = true, "its time ended at "+p.Expires.UTC().Format(time.RFC3339)+", not after it was written: nobody can have "+
				"meant that, so nothing of it is deleted"
		case p.State == Deleting:
			d.Reason = "its deletion was begun"
		case i == newest:
			d.Keep, d.Reason = true, "the newest verified recovery point of the target"
		case now.Before(p.Expires):
			d.Keep, d.Reason = true, "keep.within lasts until "+p.Expires.UTC().Format(time.RFC3339)
		case now.Before(p.Held.Until):
			d.Keep, d.Reason = true, "held until "+p.Held.Until.UTC().Format(time.RFC3339)+": "+p.Held.Reason
		case len(p.Readers) > 0:
			d.Keep, d.Reason = true, "the restore "+p.Readers[0]+" reads it"
		case now.Before(p.KeptByStorage.Again):
			d.Keep, d.Reason = true, p.KeptByStorage.String()
		case p.State == Suspect:
			d.Reason = "keep.within ended at " + p.Expires.UTC().Format(time.RFC3339) + ", and nobody accepted it"
		default:
			d.Reason = "keep.within ended at " + p.Expires.UTC().Format(time.RFC3339) + ", and there is a newer one"
			if p.Safety {
				d.Reason = "keep.within of a safety backup ended at " + p.Expires.UTC().Format(time.RFC3339)
			}
		}
		decisions = append(decisions, d)
	}
	return spare(decisions)
}

// spare keeps the artifact of a point that another one names, which is kept.
func spare(decisions []Decision) []Decision {
	keeper := map[string]string{}
	for _, d := range decisions {
		if d.Keep && d.Point.Artifact != "" {
			keeper[d.Point.place()] = d.Point.ID
		}
	}
	for i, d := range decisions {
		if other := keeper[d.Point.place()]; !d.Keep && other != "" {
			decisions[i].Keep, decisions[i].Reason = true, "the recovery point "+other+" names the same artifact"
		}
	}
	return decisions
}

// runPrefix is that of the types of events about the end of a run, which go on with its state.
const runPrefix = "lifeboat.run."

// ended is the event about the end of a run. Its ID is stable, so that one sent twice is known as the same.
func ended(r Run) Event {
	var point string
	var state PointState
	if r.State == Succeeded {
		point, state = r.ID, Live
		switch {
		case r.Reason.Code != "":
			state = Suspect
		case r.Settings.CopyOnly(r.Target):
			state = CopyOnly
		}
	}
	data, err := json.Marshal(struct {
		Run     string    `json:"run"`
		State   State     `json:"state"`
		Plan    string    `json:"plan"`
		Target  string    `json:"target"`
		Slot    time.Time `json:"slot,omitzero"`
		Request string    `json:"request,omitempty"`
		Created time.Time `json:"created"`
		Ended   time.Time `json:"ended"`
		Point   string    `json:"recoveryPoint,omitempty"`
		// PointState is that of the recovery point as the run left it. Reason says why it is suspect.
		PointState PointState `json:"recoveryPointState,omitempty"`
		// CopyOnly: Azure can restore nothing from it.
		CopyOnly bool   `json:"copyOnly,omitempty"`
		Reason   Reason `json:"reason,omitzero"`
	}{
		r.ID, r.State, r.Plan, r.Target, r.Slot, r.Request, r.Created, r.Ended, point, state, point != "" && r.Settings.CopyOnly(r.Target),
		r.Reason,
	})
	if err != nil {
		panic(err) // only strings and times
	}
	return Event{
		ID: r.ID + "." + string(r.State), Type: runPrefix + string(r.State), Subject: r.Target, Time: r.Ended, Data: data,
	}
}
