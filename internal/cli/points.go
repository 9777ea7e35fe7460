package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// point is the API's answer about a recovery point; within a run it has no ID and plan of its own.
type point struct {
	ID           string    `json:"id"`
	Plan         string    `json:"plan"`
	State        string    `json:"state"`
	Account      string    `json:"storageAccount"`
	Blob         string    `json:"blob"`
	Size         int64     `json:"sizeInBytes"`
	SHA256       string    `json:"sha256"`
	Created      time.Time `json:"createdDateTime"`
	Expires      time.Time `json:"expiresDateTime"`
	Deleted      time.Time `json:"deletedDateTime"`
	Decision     string    `json:"decision"`
	Note         string    `json:"note"`
	Suspicion    *problem  `json:"suspicion"`
	Accepted     time.Time `json:"acceptedDateTime"`
	AcceptedBy   string    `json:"acceptedBy"`
	AcceptReason string    `json:"acceptedReason"`
	Safety       bool      `json:"safetyBackup"`
	Held         time.Time `json:"heldUntilDateTime"`
	Kept         *struct {
		Until time.Time `json:"untilDateTime"`
	} `json:"keptByStorage"`
	CopyOnly bool `json:"copyOnly"`
}

// state returns the state of the point in words for people.
func (p point) state() string {
	if p.State == string(backup.CopyOnly) {
		return copyOnly
	}
	return p.State
}

// copyOnly is the name of a point from which Azure can restore nothing.
const copyOnly = "copy only"

// suspect is the state of a suspicious recovery point before its acceptance.
const suspect = "suspect"

// points prints the recovery points of a target, newest first.
func (r remote) points(ctx context.Context, args []string) error {
	return r.list(ctx, args, list{
		path: "/api/recovery-points", what: "recovery point",
		head: "ID\tSTATE\tCREATED\tSIZE\tEXPIRES\tPLAN\tDECISION/REASON",
		row: func(text []byte) (string, error) {
			p, err := readPoint(text)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s", p.ID, p.state(), utc(p.Created), bytesOf(p.Size), utc(p.Expires), p.Plan,
				p.why()), nil
		},
	})
}

// accept makes a suspect recovery point a live one.
func (r remote) accept(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("accept", flag.ContinueOnError)
	why := flags.String("reason", "", "")
	asJSON := flags.Bool("json", false, "")
	names, err := files(flags, args, 1)
	if err != nil || names[0] == "" {
		return cmp.Or(err, errUsage)
	}
	a, err := r.do(ctx, call{
		method: http.MethodPost, path: "/api/recovery-points/" + url.PathEscape(names[0]) + "/accept",
		body: map[string]string{"reason": *why}, tries: 5,
	})
	if err != nil {
		return err
	}
	p, err := readPoint(a.body)
	if err != nil {
		return err
	}
	if *asJSON {
		return r.document(a.body)
	}
	_, err = fmt.Fprintf(r.stdout, "%s  %s, %s\n", p.ID, p.state(), p.fate())
	return err
}

func readPoint(text []byte) (point, error) {
	var p point
	if err := json.Unmarshal(text, &p); err != nil {
		return p, fmt.Errorf("read the answer: %w", err)
	}
	if p.ID == "" {
		return p, errors.New("the answer is no recovery point: is LIFEBOAT_URL the address of a Lifeboat app?")
	}
	return p, nil
}

// fate says when a recovery point was or will be deleted.
func (p point) fate() string {
	until := p.Expires
	if p.Held.After(until) {
		until = p.Held
	}
	switch {
	case !p.Deleted.IsZero():
		return "deleted " + utc(p.Deleted)
	case p.Kept != nil: // live, suspect or a copy
		return strings.TrimSuffix(p.state()+", kept by storage until "+utc(p.Kept.Until), " until ")
	case p.State == "live":
		return "kept until " + utc(until)
	case p.State == suspect, p.State == string(backup.CopyOnly):
		return p.state() + ", kept until " + utc(until)
	}
	return p.State
}

// why returns the decision of cleanup, or the reason for which the point is suspect, or was accepted.
func (p point) why() string {
	switch {
	case p.Decision != "":
		return plain(p.Decision)
	case p.State == suspect:
		return p.Suspicion.code()
	case p.Safety:
		return "safety backup of the restore of the same ID"
	case p.Suspicion != nil:
		return plain(strings.TrimSuffix("accepted by "+p.AcceptedBy+": "+p.AcceptReason, ": "))
	}
	return ""
}
