package managedhsm_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/services/managedhsm"
	"lifeboat/internal/services/managedhsm/securitydomain"
	"lifeboat/internal/testing/fakeazure/domainwriter"
)

const aDay = 24 * time.Hour

var proved = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// people are six holders, since a key takes a while to make.
var people = sync.OnceValue(func() []domainwriter.Holder {
	made := make([]domainwriter.Holder, 6)
	var all sync.WaitGroup
	for i := range made {
		all.Go(func() { made[i] = domainwriter.NewHolder(fmt.Sprintf("holder-%d", i+1), 2048) })
	}
	all.Wait()
	return made
})

// kept is a file of a security domain, with its holders.
type kept struct {
	*domainwriter.Domain
	content []byte
}

// keep makes a security domain whose trust anchor has the key of the person with that number.
func keep(quorum, anchor int, holders ...domainwriter.Holder) kept {
	d := domainwriter.New("contoso-hsm", quorum, people()[anchor].Key, holders...)
	return kept{d, d.File().JSON()}
}

// states returns the statement of these holders, by their numbers, about the file; alone: each part stays closed.
func (k kept) states(t *testing.T, at time.Time, alone bool, of ...int) []byte {
	t.Helper()
	return k.statesOf(t, k, at, alone, of...)
}

// statesOf is a statement that names another file than the one that its holders opened.
func (k kept) statesOf(t *testing.T, named kept, at time.Time, alone bool, of ...int) []byte {
	t.Helper()
	var keys []securitydomain.Key
	for _, n := range of {
		h := k.Holders[n]
		keys = append(keys, securitydomain.Key{Name: h.Name, Private: h.Key, Beside: h.PEM()})
	}
	file, err := securitydomain.Parse(k.content)
	if err != nil {
		t.Fatal(err)
	}
	report := file.Check("f", keys, securitydomain.Options{Alone: alone})
	sum := sha256.Sum256(named.content)
	report.SHA256 = hex.EncodeToString(sum[:])
	signed, err := securitydomain.Sign(rand.Reader, report, keys, nil, at, "lifeboat test")
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func (k kept) thumbprints(of ...int) []string {
	file, _ := securitydomain.Parse(k.content)
	var listed []string
	for _, n := range of {
		listed = append(listed, file.Check("f", nil, securitydomain.Options{}).Holders[n].Thumbprint)
	}
	return listed
}

// asks makes the blocks of a plan that wants a proof every 180 days.
func asks(quorum int, holders ...string) backup.Blocks {
	member := map[string]any{"every": "180d"}
	if quorum > 0 {
		member["quorum"] = quorum
	}
	if holders != nil {
		member["holders"] = holders
	}
	return backup.NewBlocks(map[string]any{"hsm": map[string]any{"securityDomain": member}})
}

// TestCustody has a table of statements, and of the proofs that they are. Each file has three holders, of which two are a quorum.
func TestCustody(t *testing.T) {
	a := keep(2, 5, people()[:3]...)
	copied := keep(2, 5, people()[:3]...)
	copied.Domain, copied.content = a.Domain, append(bytes.Clone(a.content), '\n') // other bytes of the same security domain
	anew := keep(2, 4, people()[:3]...)
	strangers := keep(2, 4, people()[3:6]...)
	former := keep(2, 5, people()[3:6]...)
	d := func(days int) time.Time { return proved.Add(time.Duration(days) * aDay) }
	listed := a.thumbprints(0, 1, 2)
	for name, c := range map[string]struct {
		blocks backup.Blocks
		said   [][]byte
		at     int // days
		want   string
	}{
		"nothing":                            {asks(0), nil, 0, "unknown SecurityDomainUnknown 0/0 of 0"},
		"a full check":                       {asks(0), [][]byte{a.states(t, d(0), false, 0, 1)}, 179, "proven  2/2 of 3 until 180"},
		"its last day is over":               {asks(0), [][]byte{a.states(t, d(0), false, 0, 1)}, 180, "late SecurityDomainHoldersLate 0/2 of 3 since 0"},
		"one of two came again":              {asks(0), [][]byte{a.states(t, d(0), false, 0, 1), a.states(t, d(100), true, 0)}, 200, "late SecurityDomainHoldersLate 1/2 of 3 since 0"},
		"another came for him":               {asks(0), [][]byte{a.states(t, d(0), false, 0, 1), a.states(t, d(100), true, 0), a.states(t, d(150), true, 2)}, 200, "proven  2/2 of 3 until 280"},
		"holders alone, parts never":         {asks(0, listed...), [][]byte{a.states(t, d(0), true, 0), a.states(t, d(0), true, 1)}, 1, "late SecurityDomainPartsUnproven 2/2 of 3"},
		"alone, and nobody knows them":       {asks(0), [][]byte{a.states(t, d(0), true, 0), a.states(t, d(0), true, 1)}, 1, "unknown SecurityDomainUnknown 0/0 of 0"},
		"the plan wants three":               {asks(3), [][]byte{a.states(t, d(0), false, 0, 1)}, 1, "late SecurityDomainHoldersLate 2/3 of 3"},
		"the plan wants three, and has":      {asks(3), [][]byte{a.states(t, d(0), false, 0, 1, 2)}, 1, "proven  3/3 of 3 until 180"},
		"the plan wants fewer than needed":   {asks(2), [][]byte{keep(3, 5, people()[:3]...).states(t, d(0), false, 0, 1, 2)}, 1, "proven  3/3 of 3 until 180"},
		"one has another file":               {asks(0), [][]byte{a.states(t, d(0), false, 0, 1), copied.states(t, d(1), false, 1, 2)}, 2, "late SecurityDomainFilesDiffer 2/2 of 3 since 1"},
		"one alone has another file":         {asks(0), [][]byte{a.states(t, d(0), false, 0, 1), copied.states(t, d(1), true, 1)}, 2, "late SecurityDomainFilesDiffer 1/2 of 3"},
		"he alone came again, with another":  {asks(0), [][]byte{a.states(t, d(0), false, 0, 1), copied.states(t, d(200), true, 1)}, 201, "late SecurityDomainFilesDiffer 0/2 of 3"},
		"he checks again":                    {asks(0), [][]byte{copied.states(t, d(0), false, 0, 1), a.states(t, d(1), false, 0, 1)}, 2, "proven  2/2 of 3 until 181"},
		"his other file is long ago":         {asks(0), [][]byte{copied.states(t, d(0), false, 1, 2), a.states(t, d(179), false, 0, 1)}, 181, "proven  2/2 of 3 until 359"},
		"the HSM was made anew":              {asks(0), [][]byte{a.states(t, d(0), false, 0, 1), anew.states(t, d(1), false, 0, 1)}, 2, "conflict SecurityDomainChanged 2/2 of 3 since 1"},
		"long after it was made anew":        {asks(0), [][]byte{a.states(t, d(0), false, 0, 1), anew.states(t, d(1), false, 0, 1)}, 500, "conflict SecurityDomainChanged 0/2 of 3 since 1"},
		"strangers, and the plan has a list": {asks(0, listed...), [][]byte{a.states(t, d(0), false, 0, 1), strangers.states(t, d(1), false, 0, 1)}, 2, "proven  2/2 of 3 until 180"},
		"a former holder names the file":     {asks(0), [][]byte{former.states(t, d(0), false, 0, 1), a.states(t, d(1), false, 0, 1), former.statesOf(t, a, d(200), true, 0)}, 201, "late SecurityDomainHoldersLate 0/2 of 3 since 1"},
		"strangers, and no list":             {asks(0), [][]byte{a.states(t, d(0), false, 0, 1), strangers.states(t, d(1), false, 0, 1)}, 2, "conflict SecurityDomainChanged 2/2 of 3 since 1"},
		"one of the signers is listed":       {asks(0, a.thumbprints(0, 2)...), [][]byte{a.states(t, d(0), false, 0, 1)}, 1, "late SecurityDomainPartsUnproven 1/2 of 3"},
	} {
		for _, order := range []string{"as stated", "twice", "backwards"} {
			var record json.RawMessage
			add := func(statement []byte) {
				var err error
				if record, err = managedhsm.Service().Custody.Add(record, statement, d(c.at)); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			for i := range c.said {
				if order == "backwards" {
					i = len(c.said) - 1 - i
				}
				add(c.said[i])
			}
			if order == "twice" {
				was := string(record)
				for _, statement := range c.said { // replayed: none is news
					add(statement)
				}
				if string(record) != was {
					t.Errorf("%s: a repeat changed %s into %s", name, was, record)
				}
			}
			p := managedhsm.Service().Custody.Judge(c.blocks, record, d(c.at))
			got := fmt.Sprintf("%s %s %d/%d of %d", p.Status, p.Reason.Code, p.Holders, p.Quorum, p.Of)
			days := func(at time.Time) string { return fmt.Sprint(int(at.Sub(proved) / aDay)) }
			if !p.Until.IsZero() {
				got += " until " + days(p.Until)
				if !p.Until.Equal(p.Proven.Add(180 * aDay)) {
					t.Errorf("%s: proven at %s", name, p.Proven)
				}
			} else if !p.Proven.IsZero() {
				got += " since " + days(p.Proven)
			}
			if got != c.want {
				t.Errorf("%s, %s: %s, want %s: %s", name, order, got, c.want, p.Reason.Message)
			}
			if (p.Reason.Hint == "") != (p.Status == backup.Proven) {
				t.Errorf("%s: %q", name, p.Reason.Hint)
			}
		}
	}
}

// TestStatementsThatAreNone: none of these changes what is known.
func TestStatementsThatAreNone(t *testing.T) {
	a, b := keep(2, 5, people()[:3]...), keep(2, 4, people()[3:6]...)
	one := a.states(t, proved, true, 0)
	with := func(from, signatures []byte, old, changed string) []byte {
		var s, other struct {
			Payload    string `json:"payload"`
			Signatures []any  `json:"signatures"`
		}
		if err := errors.Join(json.Unmarshal(from, &s), json.Unmarshal(signatures, &other)); err != nil {
			t.Fatal(err)
		}
		payload, err := base64.RawURLEncoding.DecodeString(s.Payload)
		if err != nil || !bytes.Contains(payload, []byte(old)) {
			t.Fatalf("no %s in %s, %v", old, payload, err)
		}
		s.Payload = base64.RawURLEncoding.EncodeToString(bytes.Replace(payload, []byte(old), []byte(changed), 1))
		s.Signatures = other.Signatures
		return backup.Encode(s)
	}
	for name, c := range map[string]struct {
		statement []byte
		at        time.Time
		err       string
	}{
		"of a later day":        {with(one, one, "2026-11-30", "2026-12-30"), proved, "the key of its certificate did not make it"},
		"of a full check":       {with(one, one, "not tried", "authentic"), proved, "the key of its certificate did not make it"},
		"of a lower quorum":     {with(one, one, `"quorum":2`, `"quorum":1`), proved, "the key of its certificate did not make it"},
		"signed by another":     {with(one, a.states(t, proved, true, 1), "2026", "2026"), proved, "did not make it"},
		"signed by a stranger":  {with(one, b.states(t, proved, true, 1), "2026", "2026"), proved, "did not make it"},
		"of the day after":      {one, proved.Add(-25 * time.Hour), "which is to come: set the clock"},
		"not JSON":              {[]byte("-----BEGIN"), proved, "it is no statement about a security domain"},
		"the file itself":       {a.content, proved, "it is no statement about a security domain"},
		"the same, and a clock": {one, proved.Add(-23 * time.Hour), ""},
	} {
		record, err := managedhsm.Service().Custody.Add(nil, c.statement, c.at)
		if c.err == "" && (err != nil || record == nil) || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err) || record != nil) {
			t.Errorf("%s: %s, %v", name, record, err)
		}
	}
}

// TestOneKeyIsOnePerson: it has two certificates, and two shares.
func TestOneKeyIsOnePerson(t *testing.T) {
	twin := people()[0].Renewed(2024)
	a := keep(2, 5, people()[0], twin, people()[1])
	file, err := securitydomain.Parse(a.content)
	if err != nil {
		t.Fatal(err)
	}
	keys := []securitydomain.Key{{Name: "one", Private: twin.Key, Beside: slices.Concat(people()[0].PEM(), twin.PEM())}}
	signed, err := securitydomain.Sign(rand.Reader, file.Check("f", keys, securitydomain.Options{}), keys, nil, proved, "lifeboat test")
	if err == nil {
		_, err = managedhsm.Service().Custody.Add(nil, signed, proved)
	}
	if err == nil || !strings.Contains(err.Error(), "so many holders can know") {
		t.Errorf("a quorum of one: %v", err)
	}
	signed, err = securitydomain.Sign(rand.Reader, file.Check("f", keys, securitydomain.Options{Alone: true}), keys, nil, proved, "lifeboat test")
	if err != nil {
		t.Fatal(err)
	}
	record, err := managedhsm.Service().Custody.Add(nil, signed, proved)
	if err != nil {
		t.Fatal(err)
	}
	if p := managedhsm.Service().Custody.Judge(asks(0, a.thumbprints(0, 1, 2)...), record, proved); p.Holders != 1 {
		t.Errorf("%d people: %s", p.Holders, record)
	}
}

// TestTheRecordIsBounded: a caller with many keys of its own fills it, and no more.
func TestTheRecordIsBounded(t *testing.T) {
	a := keep(2, 5, people()[:3]...)
	record, err := managedhsm.Service().Custody.Add(nil, a.states(t, proved, false, 0, 1), proved)
	for i := 0; err == nil; i++ {
		if i > 5 {
			t.Fatal("it takes any number of files")
		}
		other := keep(2, 5, people()[:3]...)
		record, err = managedhsm.Service().Custody.Add(record, other.states(t, proved.Add(time.Duration(i)*time.Minute), false, 0, 1), proved)
	}
	if !strings.Contains(err.Error(), "begin anew") || record != nil {
		t.Errorf("%s, %v", record, err)
	}
}
