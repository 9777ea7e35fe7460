package ccf_test

import (
	"testing"

	"lifeboat/internal/services/ledger/ccf"
	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

func TestEarlierCopy(t *testing.T) {
	grown := func(seed uint64, more int) *ccfwriter.Ledger {
		l := ccfwriter.New(ccfwriter.V6, seed)
		l.Open()
		l.Close()
		for range more {
			l.Transact(40)
			l.Sign()
		}
		return l
	}
	earlier := func(l *ccfwriter.Ledger) ccf.Options {
		return ccf.Options{Earlier: ccf.Earlier{Transaction: l.SignedID(), Root: l.Root()}}
	}
	recovered := grown(1, 3)
	recovered.Recover(ccfwriter.V6)
	recovered.Open()
	recovered.Close()
	begun := grown(1, 3)
	begun.Snapshot(10)
	begun.Sign()
	later := begun.Files()
	later = append(later[len(later)-2:len(later)-1:len(later)-1], later[len(later)-1])
	for name, c := range map[string]struct {
		files   []ccfwriter.File
		options ccf.Options
		want    ccf.Contained
	}{
		"none is named":            {grown(1, 3).Files(), ccf.Options{}, ""},
		"the same":                 {grown(1, 3).Files(), earlier(grown(1, 3)), ccf.EarlierContained},
		"more":                     {grown(1, 5).Files(), earlier(grown(1, 3)), ccf.EarlierContained},
		"a recovery":               {recovered.Files(), earlier(grown(1, 3)), ccf.EarlierContained},
		"an older copy":            {grown(1, 2).Files(), earlier(grown(1, 3)), ccf.EarlierMissing},
		"another ledger":           {grown(2, 5).Files(), earlier(grown(1, 3)), ccf.EarlierDiffers},
		"it begins at a snapshot":  {later, earlier(grown(1, 1)), ccf.EarlierMissing},
		"it was recovered earlier": {recovered.Files(), earlier(grown(1, 5)), ccf.EarlierMissing},
	} {
		if r := verify(t, c.files, c.options); r.Earlier != c.want || !r.Proven() {
			t.Errorf("%s: %q, want %q: %+v", name, r.Earlier, c.want, r)
		}
		if r, pauses := resumed(t, c.files, c.options, func(int) bool { return true }); r.Earlier != c.want || pauses < 1 {
			t.Errorf("%s, in steps: %q, want %q", name, r.Earlier, c.want)
		}
	}
}
