package securitydomain_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"lifeboat/internal/services/managedhsm/securitydomain"
	"lifeboat/internal/testing/fakeazure/domainwriter"
)

// holders are ten people, since a key takes a while to make.
var holders = sync.OnceValue(func() []domainwriter.Holder {
	made := make([]domainwriter.Holder, 10)
	var all sync.WaitGroup
	for i := range made {
		all.Go(func() { made[i] = domainwriter.NewHolder(fmt.Sprintf("holder-%d", i+1), 2048) })
	}
	all.Wait()
	return made
})

// domain returns a new security domain of three holders with a quorum of two.
func domain() *domainwriter.Domain {
	return domainwriter.New("contoso-hsm", 2, holders()[9].Key, holders()[:3]...)
}

// keys returns the keys as they are read from files with the right certificates beside them.
func keys(of ...domainwriter.Holder) (given []securitydomain.Key) {
	for _, h := range of {
		given = append(given, securitydomain.Key{Name: h.Name + ".key", Private: h.Key, Beside: h.PEM()})
	}
	return given
}

func check(t *testing.T, content []byte, o securitydomain.Options, given ...domainwriter.Holder) securitydomain.Report {
	t.Helper()
	file, err := securitydomain.Parse(content)
	if err != nil {
		t.Fatal(err)
	}
	return file.Check("domain.json", keys(given...), o)
}

func TestAQuorumOpensAll(t *testing.T) {
	d := domain()
	content := d.File().JSON()
	r := check(t, content, securitydomain.Options{}, d.Holders[2], d.Holders[0])
	sum := fmt.Sprintf("%x", sha256.Sum256(content))
	if r.Outcome != securitydomain.Recoverable || len(r.Errors)+len(r.Warnings)+len(r.Notes) != 0 || r.SHA256 != sum || r.Opened != 2 {
		t.Errorf("%+v", r)
	}
	if i := r.Identity; i == nil || i.ID != d.ID || i.Anchor.Name != "contoso-hsm" || !i.Anchor.Activated.Equal(d.Anchor().NotBefore) ||
		i.Anchor.SHA256 != fmt.Sprintf("%x", sha256.Sum256(d.Anchor().Raw)) {
		t.Errorf("%+v", r.Identity)
	}
	if h := r.Holders[0]; h.Subject != "CN=holder-1" || h.X5T != domainwriter.X5T(d.Holders[0].Cert) || !h.Expires.Equal(d.Holders[0].Cert.NotAfter) ||
		!slices.Equal(h.OpenedBy, []string{"holder-1.key"}) || h.Thumbprint != strings.ToUpper(fmt.Sprintf("%x", sha256.Sum256(d.Holders[0].Cert.Raw))) {
		t.Errorf("%+v", h)
	}
	for _, p := range r.Parts {
		if p.State != securitydomain.Authentic {
			t.Errorf("%+v", p)
		}
	}
}

// TestEachShape opens each quorum of each number of holders with just as many keys, and not with one fewer.
func TestEachShape(t *testing.T) {
	for n := 3; n <= 10; n++ {
		for m := 2; m <= n; m++ {
			d := domainwriter.New("contoso-hsm", m, holders()[0].Key, holders()[:n]...)
			content := d.File().JSON()
			given := d.Holders[n-m:]
			if r := check(t, content, securitydomain.Options{}, given...); r.Outcome != securitydomain.Recoverable || len(r.Errors) > 0 {
				t.Errorf("%d of %d: %s %+v", m, n, r.Outcome, r.Errors)
			}
			r := check(t, content, securitydomain.Options{}, given[1:]...)
			if r.Outcome != securitydomain.QuorumNotReached || len(r.Errors) > 0 || r.Identity != nil {
				t.Errorf("%d of %d, with one fewer: %s %+v", m, n, r.Outcome, r.Errors)
			}
		}
	}
}

// TestAloneNoKeysMeet gives two keys that would be a quorum: each opens its share, and nothing is put together.
func TestAloneNoKeysMeet(t *testing.T) {
	d := domain()
	r := check(t, d.File().JSON(), securitydomain.Options{Alone: true}, d.Holders[:2]...)
	if r.Outcome != securitydomain.QuorumNotReached || r.Opened != 2 || r.Identity != nil || r.Parts[0].State != securitydomain.NotTried {
		t.Errorf("%+v", r)
	}
}

// TestTheBadOneIsNamed damages a share of six of which three are enough, so that each set with it opens nothing.
func TestTheBadOneIsNamed(t *testing.T) {
	for bad := range 6 {
		d := domainwriter.New("contoso-hsm", 3, holders()[0].Key, holders()[:6]...)
		other := domainwriter.Split(d.Master, 3, 6) // the same secret, by other polynomials
		d.Shares[bad] = other[bad]
		r := check(t, d.File().JSON(), securitydomain.Options{}, d.Holders...)
		want := fmt.Sprintf("share %d opens, and does not fit the others", bad+1)
		if len(r.Errors) != 1 || r.Errors[0].Code != securitydomain.ShareOfAnother || !strings.Contains(r.Errors[0].Text, want) ||
			r.Outcome != securitydomain.Recoverable {
			t.Errorf("share %d: %s %+v", bad+1, r.Outcome, r.Errors)
		}
	}
}

// TestAttestation compares the trust anchor with the attestation of a key.
func TestAttestation(t *testing.T) {
	d := domain()
	other := domainwriter.New("contoso-hsm", 2, holders()[8].Key, holders()[:3]...) // made anew, under the same name
	content := d.File().JSON()
	for name, c := range map[string]struct {
		attestation []byte
		want        string
	}{
		"its own":                {d.Attestation(), "same"},
		"another's":              {other.Attestation(), "differs"},
		"the anchor without use": {bytes.Repeat(pemOf(d.Anchor()), 2), "differs"},
	} {
		certificates, err := securitydomain.Attestation(c.attestation)
		if err != nil {
			t.Fatal(name, err)
		}
		r := check(t, content, securitydomain.Options{Attestation: certificates}, d.Holders[:2]...)
		if r.Attestation != c.want || (len(r.Errors) > 0) != (c.want == "differs") || r.Outcome != securitydomain.Recoverable {
			t.Errorf("%s: %s %+v", name, r.Attestation, r.Errors)
		}
		if r := check(t, content, securitydomain.Options{Attestation: certificates}, d.Holders[0]); r.Attestation != "not compared" {
			t.Errorf("%s, without a quorum: %s", name, r.Attestation)
		}
	}
}

func pemOf(cert *x509.Certificate) []byte { return domainwriter.Holder{Cert: cert}.PEM() }

// TestASecondCheckBeginsAnew checks one file twice.
func TestASecondCheckBeginsAnew(t *testing.T) {
	d := domain()
	file, err := securitydomain.Parse(d.File().JSON())
	if err != nil {
		t.Fatal(err)
	}
	first := file.Check("f", keys(holders()[5]), securitydomain.Options{})
	second := file.Check("f", keys(d.Holders[:2]...), securitydomain.Options{})
	if len(first.Errors) != 1 || len(second.Errors) != 0 || second.Outcome != securitydomain.Recoverable {
		t.Errorf("%+v\n%+v", first, second)
	}
}

// TestClear checks that the numbers of a key are overwritten.
func TestClear(t *testing.T) {
	key := domainwriter.NewHolder("once", 2048).Key
	numbers := [][]byte{}
	for _, word := range key.Primes[0].Bits() {
		numbers = append(numbers, fmt.Append(nil, word))
	}
	bits := key.Primes[0].Bits()
	k := securitydomain.Key{Private: key}
	k.Clear()
	for i, word := range bits {
		if word != 0 {
			t.Errorf("word %d is %d, and was %s", i, word, numbers[i])
		}
	}
	if k.Private != nil || key.D != nil {
		t.Error("the key is still there")
	}
	k.Clear() // a key that was not read
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
