package securitydomain

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"
)

// counted is the secret of the vectors: 00 01 … 1f.
func counted() (master [secretSize]byte) {
	for i := range master {
		master[i] = byte(i)
	}
	return master
}

var vectors = []string{
	"000207020e0215021c0223022a02310238023f0246024d0254025b0262026902700277027e0285028c0293029a02a102a802af02b602bd02c402cb02d202d902",
	"fb060706140621062e063b064806550662066f067c0689069606a306b006bd06ca06d706e406f106fe060a061706240631063e064b065806650672067f068c06",
	"ed0af80a020a0d0a180a230a2e0a390a440a4f0a5a0a650a700a7b0a860a910a9c0aa70ab20abd0ac80ad30ade0ae90af40aff0a090a140a1f0a2a0a350a400a",
}

func vectorPoints(t *testing.T) (points []point) {
	t.Helper()
	for _, text := range vectors {
		content, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		p, err := readPoint(content)
		if err != nil {
			t.Fatal(err)
		}
		points = append(points, p)
	}
	return points
}

func TestVectorOfTheSharing(t *testing.T) {
	points := vectorPoints(t)
	if points[0].x != 1 || points[1].x != 3 || points[2].x != 5 {
		t.Errorf("positions %d, %d, %d", points[0].x, points[1].x, points[2].x)
	}
	eachSubset(slices.Concat(points[1:], points[:1]), 3, func(chosen []point) bool {
		if master, ok := secret(chosen); !ok || master != counted() {
			t.Errorf("the secret is %x, %t", master, ok)
		}
		return true
	})
	if master, ok := secret(points[:2]); ok && master == counted() {
		t.Error("two shares of a quorum of three give the secret")
	}
	// The coefficients of the vector give the share at any other position.
	var fourth point
	fourth.x = 4
	for i := range fourth.y {
		fourth.y[i] = (i + (7*i+1)%257*4 + (256-i)*16) % 257
	}
	if !fourth.fits(points) {
		t.Error("a share of the same sharing does not fit")
	}
	fourth.y[31] = (fourth.y[31] + 1) % 257
	if fourth.fits(points) {
		t.Error("a changed share fits")
	}
}

func TestVectorsOfTheKeysOfParts(t *testing.T) {
	for tag, want := range map[string]string{
		"hsm_backup": "2d34f55a1dd64e68d793ce19439e032e913bc2c83a99237a33c1bde888fb91da" +
			"91626f37c72aaff2d718d3e7a37f0a39417a66839669da3c76fe4336aec9747c",
		"base_enclave_backup":      "78be6b420dfb42efeb121abb53daebe6",
		"partition_enclave_backup": "79c6bafac278e74d8c05565c0859f5c4",
	} {
		master := counted()
		if got := hex.EncodeToString(partKey(master[:], tag)); !strings.HasPrefix(got, want) || len(got) != 128 {
			t.Errorf("%s: %s", tag, got)
		}
	}
}

func TestPointsAreStrict(t *testing.T) {
	good, err := hex.DecodeString(vectors[0])
	if err != nil {
		t.Fatal(err)
	}
	change := func(at int, low, high byte) []byte {
		content := slices.Clone(good)
		content[at], content[at+1] = low, high
		return content
	}
	for name, c := range map[string]struct {
		content []byte
		err     string
	}{
		"the largest value":        {change(62, 0x00, 0x03), ""},
		"a value of 257":           {change(62, 0x01, 0x03), "no point of a polynomial"},
		"another position at last": {change(62, 0x00, 0x04), "several positions"},
		"too short":                {good[:62], "another length"},
		"too long":                 {append(slices.Clone(good), 0, 2), "another length"},
		"position 0":               {make([]byte, 64), "no point of a polynomial"},
	} {
		_, err := readPoint(c.content)
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAWrongSetMayGiveNoByte finds a set whose value at 0 is 256.
func TestAWrongSetMayGiveNoByte(t *testing.T) {
	points := vectorPoints(t)
	for points[2].y[7] = range prime {
		if values := at(points, 0); values[7] == 256 {
			if master, ok := secret(points); ok || master != ([secretSize]byte{}) {
				t.Errorf("the secret is %x", master)
			}
			return
		}
	}
	t.Error("no value of a share gives 256")
}
