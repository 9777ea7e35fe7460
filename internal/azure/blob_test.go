package azure_test

import (
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"lifeboat/internal/azure"
)

// TestAPartThatIsCutCountsAsFarAsItCame: if nothing of it came, that is an error, or verification would ask for the same part for ever.
func TestAPartThatIsCutCountsAsFarAsItCame(t *testing.T) {
	broken := iotest.ErrReader(errors.New("connection reset"))
	for name, c := range map[string]struct {
		content io.Reader
		want    int64
		fails   bool
	}{
		"whole":              {strings.NewReader("12345"), 5, false},
		"shorter":            {strings.NewReader("123"), 3, false},
		"broken on the way":  {io.MultiReader(strings.NewReader("123"), broken), 3, false},
		"nothing":            {strings.NewReader(""), 0, true},
		"broken at its head": {broken, 0, true},
	} {
		sum := sha256.New()
		n, err := azure.Part{Content: io.NopCloser(c.content)}.Hash(sum, 5)
		want := sha256.Sum256([]byte("12345"[:c.want]))
		if n != c.want || (err != nil) != c.fails || string(sum.Sum(nil)) != string(want[:]) {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
	}
}
