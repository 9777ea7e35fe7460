package securitydomain_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/services/managedhsm/securitydomain"
	"lifeboat/internal/testing/fakeazure/domainwriter"
)

var checked = time.Date(2026, 11, 30, 12, 0, 0, 5, time.UTC)

// stated returns the statement of these holders about a file.
func stated(t *testing.T, content []byte, alone bool, of ...domainwriter.Holder) []byte {
	t.Helper()
	r := check(t, content, securitydomain.Options{Alone: alone}, of...)
	signed, err := securitydomain.Sign(rand.Reader, r, keys(of...), nil, checked, "lifeboat test")
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestStatements(t *testing.T) {
	d := domain()
	content := d.File().JSON()
	one, err := securitydomain.ReadStatement(stated(t, content, true, d.Holders[1]))
	if err != nil {
		t.Fatal(err)
	}
	r := check(t, content, securitydomain.Options{}, d.Holders[:2]...)
	if one.FileSHA256 != r.SHA256 || !slices.Equal(one.Opened, []string{r.Holders[1].Thumbprint}) || len(one.Holders) != 3 || one.Quorum != 2 ||
		one.Parts != securitydomain.NotTried || one.ID != "" || !one.Checked.Equal(checked.Truncate(time.Second)) || one.Tool != "lifeboat test" {
		t.Errorf("%+v", one)
	}
	both, err := securitydomain.ReadStatement(stated(t, content, false, d.Holders[:2]...))
	if err != nil || both.Parts != securitydomain.Authentic || len(both.Opened) != 2 || both.ID != d.ID || both.TrustAnchor != r.Identity.Anchor.SHA256 {
		t.Errorf("%+v %v", both, err)
	}
}

// TestNobodyStatesForAnother changes a statement in each way that would make it say more.
func TestNobodyStatesForAnother(t *testing.T) {
	d := domain()
	content := d.File().JSON()
	one, other := stated(t, content, true, d.Holders[0]), stated(t, content, true, d.Holders[1])
	foreign := domainwriter.New("contoso-hsm", 2, holders()[9].Key, holders()[4:7]...)
	third := stated(t, foreign.File().JSON(), true, foreign.Holders[0])
	type signature struct {
		Protected string `json:"protected"`
		Signature string `json:"signature"`
	}
	type jws struct {
		Payload    string      `json:"payload"`
		Signatures []signature `json:"signatures"`
	}
	read := func(text []byte) (s jws) {
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	replaced := func(encoded, old, changed string) string {
		text := must(base64.RawURLEncoding.DecodeString(encoded))
		if !bytes.Contains(text, []byte(old)) {
			t.Fatalf("no %s in %s", old, text)
		}
		return base64.RawURLEncoding.EncodeToString(bytes.Replace(text, []byte(old), []byte(changed), 1))
	}
	for name, c := range map[string]struct {
		change func(s *jws)
		err    string
	}{
		"no signature":             {func(s *jws) { s.Signatures = nil }, "it has 0 signatures"},
		"another date":             {func(s *jws) { s.Payload = replaced(s.Payload, "2026", "2027") }, "the key of its certificate did not make it"},
		"another file":             {func(s *jws) { s.Payload = read(third).Payload }, "the key of its certificate did not make it"},
		"the signature of another": {func(s *jws) { s.Signatures[0].Signature = read(other).Signatures[0].Signature }, "did not make it"},
		"the header of another":    {func(s *jws) { s.Signatures[0].Protected = read(other).Signatures[0].Protected }, "did not make it"},
		"signed by another":        {func(s *jws) { s.Signatures = read(other).Signatures }, "did not make it"},
		"signed twice":             {func(s *jws) { s.Signatures = append(s.Signatures, s.Signatures[0]) }, "its signature 2 is by no further holder"},
		"another algorithm":        {func(s *jws) { s.Signatures[0].Protected = replaced(s.Signatures[0].Protected, "PS256", "none") }, "its header is none of a statement"},
		"another type":             {func(s *jws) { s.Signatures[0].Protected = replaced(s.Signatures[0].Protected, "lifeboat-", "") }, "its header is none of a statement"},
		"a critical header": {func(s *jws) {
			s.Signatures[0].Protected = replaced(s.Signatures[0].Protected, `{`, `{"crit":["x"],`)
		}, "its header is none of a statement"},
		"an unknown member": {func(s *jws) { s.Payload = replaced(s.Payload, `{`, `{"more":1,`) }, "its payload is no statement"},
		"padded":            {func(s *jws) { s.Payload += "=" }, "not written in base64url"},
	} {
		s := read(one)
		c.change(&s)
		if _, err := securitydomain.ReadStatement(must(json.Marshal(s))); err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{"nothing": "", "more behind it": string(one) + "{}", "an unknown member": `{"x":1}`, "too large": strings.Repeat(" ", 300<<10)} {
		if _, err := securitydomain.ReadStatement([]byte(text)); err == nil {
			t.Errorf("%s is a statement", name)
		}
	}
}

// TestASignerNeedsTheCertificate signs with a key whose certificate was renewed, and gives the first one besides.
func TestASignerNeedsTheCertificate(t *testing.T) {
	d := domain()
	file := must(securitydomain.Parse(d.File().JSON()))
	given := keys(d.Holders[0])
	given[0].Beside = d.Holders[0].Renewed(2024).PEM()
	r := file.Check("f", given, securitydomain.Options{Alone: true})
	if _, err := securitydomain.Sign(rand.Reader, r, given, nil, checked, "t"); err == nil || !strings.Contains(err.Error(), r.Holders[0].Thumbprint) {
		t.Errorf("signed: %v", err)
	}
	first, _, err := securitydomain.Certificates(d.Holders[0].PEM())
	if err != nil {
		t.Fatal(err)
	}
	signed, err := securitydomain.Sign(rand.Reader, r, given, first, checked, "t")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := securitydomain.ReadStatement(signed); err != nil || s.Opened[0] != r.Holders[0].Thumbprint {
		t.Errorf("%+v %v", s, err)
	}
	r = file.Check("f", keys(holders()[5]), securitydomain.Options{Alone: true})
	if _, err := securitydomain.Sign(rand.Reader, r, keys(holders()[5]), nil, checked, "t"); err == nil {
		t.Error("a foreign key states something")
	}
}

// TestOnePersonIsNoQuorum has one person with two shares, who states nothing for a quorum of two.
func TestOnePersonIsNoQuorum(t *testing.T) {
	twice := domainwriter.New("contoso-hsm", 2, holders()[9].Key, holders()[0], holders()[1], holders()[0])
	r := check(t, twice.File().JSON(), securitydomain.Options{}, holders()[0])
	if _, err := securitydomain.Sign(rand.Reader, r, keys(holders()[0]), nil, checked, "t"); err == nil || !strings.Contains(err.Error(), "fewer people") {
		t.Errorf("%s: %v", r.Outcome, err)
	}
}
