package managedhsm

import (
	"strings"
	"testing"
	"time"

	"lifeboat/internal/azure"
)

const contoso = "/subscriptions/7a1c5b0e-3f44-4c2e-9d10-5e2b8f6a9c01/resourceGroups/keys/providers/Microsoft.KeyVault/managedHSMs/Contoso"

// written makes a folder of the named files, with this time as the time of the newest.
func written(newest time.Time, names ...string) folder {
	f := folder{Listed: azure.Listed{Newest: newest, Oldest: newest}}
	for _, name := range names {
		f.Files = append(f.Files, azure.File{Name: name, Size: 7, ETag: "e-" + name})
	}
	return f
}

// TestWhatADeletionLeft checks that the rest of a deletion has fewer files, none of them newer than the verified folder.
// Any other folder is kept.
func TestWhatADeletionLeft(t *testing.T) {
	at := time.Date(2026, 11, 3, 2, 30, 9, 0, time.UTC)
	was := written(at, "a", "b", "c").fingerprint()
	for name, c := range map[string]struct {
		folder folder
		want   bool
	}{
		"all of it":                       {written(at, "a", "b", "c"), true},
		"two of three":                    {written(at, "a", "c"), true},
		"one of three, of an earlier day": {written(at.AddDate(0, 0, -1), "b"), true},
		"nothing":                         {written(time.Time{}), true},
		"one less, and one written anew":  {written(at.Add(time.Second), "a", "b"), false},
		"one less, written anew later":    {written(at.AddDate(0, 1, 0), "a"), false},
		"as many, one of them another":    {written(at, "a", "b", "d"), false},
		"one more":                        {written(at, "a", "b", "c", "d"), false},
		"one more, of an earlier day":     {written(at.AddDate(0, 0, -1), "a", "b", "c", "d"), false},
	} {
		if got := c.folder.isRestOf(was); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if !written(at, "a").isRestOf("") {
		t.Error("what was never verified is refused")
	}
	for _, broken := range []string{"x", "1-2", "0x8DC0FFEE", "x-3-" + was} {
		if written(at, "a").isRestOf(broken) {
			t.Errorf("any folder is the rest of %q", broken)
		}
	}
}

// TestAPrintIsThatOfEachFile checks that a print depends on each file's name, size and ETag, and on the time of the
// folder's last write.
func TestAPrintIsThatOfEachFile(t *testing.T) {
	at := time.Date(2026, 11, 3, 2, 30, 9, 0, time.UTC)
	base := written(at, "a", "b")
	if base.fingerprint() != written(at, "a", "b").fingerprint() {
		t.Error("the same folder has two prints")
	}
	for name, change := range map[string]func(f *folder){
		"the time":             func(f *folder) { f.Newest = f.Newest.Add(time.Second) },
		"the second's size":    func(f *folder) { f.Files[1].Size++ },
		"the second's ETag":    func(f *folder) { f.Files[1].ETag = "other" },
		"the second's name":    func(f *folder) { f.Files[1].Name = "c" },
		"one file less":        func(f *folder) { f.Files = f.Files[:1] },
		"names run into sizes": func(f *folder) { f.Files[0].Name, f.Files[0].Size = "a\n7", 7 },
	} {
		f := written(at, "a", "b")
		if change(&f); f.fingerprint() == base.fingerprint() {
			t.Errorf("%s is not in it", name)
		}
	}
}

// TestWhenAFolderWasBegun checks names of 14 to 17 digits. The HSM's name matches in any case.
func TestWhenAFolderWasBegun(t *testing.T) {
	at := time.Date(2026, 11, 3, 2, 30, 0, 0, time.UTC)
	for folder, want := range map[string]time.Duration{
		"mhsm-contoso-20261103023000": 0, "mhsm-CONTOSO-20261103023000": 0, "MHSM-contoso-20261103023000": 0,
		"mhsm-contoso-202611030230005": 500 * time.Millisecond, "mhsm-contoso-2026110302300012": 120 * time.Millisecond,
		"mhsm-contoso-20261103023000123": 123 * time.Millisecond, "mhsm-contoso-20261103023059": 59 * time.Second,
	} {
		if got, ok := stamp(contoso, folder); !ok || !got.Equal(at.Add(want)) {
			t.Errorf("%s: %s, %t", folder, got, ok)
		}
	}
	for _, folder := range []string{
		"", "mhsm-contoso", "mhsm-contoso-2026110302300", "mhsm-contoso-202611030230001234", "mhsm-contoso2-20261103023000",
		"mhsm-contos-20261103023000", "mhsm-contoso-20261303023000", "mhsm-contoso-20261103023000x", "x-mhsm-contoso-20261103023000",
		"mhsm-contoso-20261103023000/a", "mhsm-contoso-1-20261103023000",
	} {
		if got, ok := stamp(contoso, folder); ok {
			t.Errorf("%s: %s", folder, got)
		}
	}
	dotted := strings.Replace(contoso, "Contoso", "c.n", 1)
	if _, ok := stamp(dotted, "mhsm-con-20261103023000"); ok {
		t.Error("a dot of the name stands for any letter")
	}
}

// TestWhichFolderAnAddressNames checks that the folder is the last part behind the container, and "" if there is no such
// part.
func TestWhichFolderAnAddressNames(t *testing.T) {
	for uri, want := range map[string]string{
		"https://a.blob.core.windows.net/c/mhsm-x-1": "mhsm-x-1", "https://a.blob.core.windows.net/c/mhsm-x-1/": "mhsm-x-1",
		"https://a.blob.core.windows.net/c/d/mhsm-x-1": "mhsm-x-1", "https://a.blob.core.windows.net/c": "", "https://a.blob.core.windows.net/c/": "",
		"https://a.blob.core.windows.net": "", "": "", "https://a/%zz/x": "",
	} {
		if got := folderOf(uri); got != want {
			t.Errorf("%s: %q, want %q", uri, got, want)
		}
	}
	for name, want := range map[string]bool{
		"mhsm-x-1": true, "mhsm-": true, "MHSM-x-1": false, "": false, "x-mhsm-": false, "mhsm-x/1": false, `mhsm-x\1`: false, "mhsm-x/..": false,
	} {
		if got := isFolder(name); got != want {
			t.Errorf("%q: %t", name, got)
		}
	}
}

// TestADirectoryIsOneByItsMetadata checks the metadata of directories, in whichever case storage writes that.
func TestADirectoryIsOneByItsMetadata(t *testing.T) {
	yes, no := "true", "false"
	for name, c := range map[string]struct {
		metadata map[string]*string
		want     bool
	}{
		"none": {nil, false}, "another": {map[string]*string{"x": &yes}, false}, "lower": {map[string]*string{"hdi_isfolder": &yes}, true},
		"upper": {map[string]*string{"Hdi_isfolder": &yes}, true}, "no": {map[string]*string{"hdi_isfolder": &no}, false},
		"nothing": {map[string]*string{"hdi_isfolder": nil}, false}, "the second": {map[string]*string{"a": &yes, "HDI_ISFOLDER": &yes}, true},
	} {
		if got := isDirectory(c.metadata); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
