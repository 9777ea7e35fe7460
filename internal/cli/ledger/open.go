package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/services/ledger"
	"lifeboat/internal/services/ledger/ccf"
)

// copied is a copy of a ledger: the name that the person gave, and its files.
type copied struct {
	name   string
	source ccf.Source
	// point is the recovery point that the copy is; nil for a folder.
	point *ledger.Copy
}

// argument names a copy in the help, and fromShare says there how a recovery point is read.
const (
	argument  = "FOLDER|RECOVERY-POINT"
	fromShare = `A name that is no folder here is the ID of a recovery point. The app at
LIFEBOAT_URL says in which file share it is, and the command reads that share
itself. Your sign-in (az login) needs for that, on the storage account, the role
` + ledger.ReaderRole + `. Nothing is kept on this machine.
All files, the last transaction, the root and the service must be those of the
verified backup: a difference is an error.`
	examplePoint = "a96c0a2cb545dea3-8225336799-2a3b62b53ddb"
)

// open finds the files of a copy, unless the person stops it.
func (sh Shell) open(ctx context.Context, name string) (copied, error) {
	c, err := sh.locate(ctx, name)
	return c, stopped(ctx, name, err)
}

// locate finds the files in a folder. A name that is no file of this machine is the ID of a recovery point.
func (sh Shell) locate(ctx context.Context, name string) (copied, error) {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return sh.openPoint(ctx, name, err)
	case err != nil:
		return copied{}, fmt.Errorf("%w: name the folder of a copy", err)
	case !info.IsDir():
		return copied{}, fmt.Errorf("%s is no folder: name the folder that it is in", name)
	}
	root, err := os.OpenRoot(name) // no link in it leads out of it; it stays open while the command reads
	if err != nil {
		return copied{}, err
	}
	source, err := ccf.Folder(root.FS())
	if err != nil {
		return copied{}, fmt.Errorf("%s: %w", name, err)
	}
	c := copied{name: name, source: source}
	return c, ccf.Copies(ctx, name, source)
}

// openPoint finds the files of a recovery point: the app says in which share they are, and the sign-in here lists them.
func (sh Shell) openPoint(ctx context.Context, id string, noFolder error) (copied, error) {
	app, err := client.New(sh.Getenv, false, sh.Stderr)
	if err != nil {
		return copied{}, fmt.Errorf("%w: name the folder of a copy, or a recovery point of an app: %w", noFolder, err)
	}
	a, err := app.Do(ctx, client.Call{
		Method: http.MethodGet, Path: "/api/recovery-points/" + url.PathEscape(id),
		Expected: func(status int, body []byte) bool { return status == http.StatusNotFound && unknown(body) },
	})
	if err != nil {
		return copied{}, fmt.Errorf("%s is no folder here, and whether it is a recovery point is unknown: %w", text.Plain(id), err)
	}
	if unknown(a.Body) {
		return copied{}, fmt.Errorf("%s is neither a folder here nor a recovery point of the app: lifeboat points TARGET lists its recovery points", text.Plain(id))
	}
	var p api.RecoveryPoint
	if err := json.Unmarshal(a.Body, &p); err != nil || p.ID == "" {
		return copied{}, errors.New("the answer is no recovery point: is LIFEBOAT_URL the address of a Lifeboat app?")
	}
	switch {
	case p.State == backup.Expired:
		return copied{}, fmt.Errorf("the recovery point %s is gone: its share was deleted at %s", text.Plain(p.ID), text.Clock{}.At(p.Deleted))
	case p.Share == nil:
		return copied{}, fmt.Errorf("the recovery point %s is of %s, and the app names no file share of it: it is no ledger's, or the app is older than this program",
			text.Plain(p.ID), text.Plain(p.Target))
	}
	reader, err := sh.Shares(sh.Getenv)
	if err != nil {
		return copied{}, err
	}
	point, err := reader.Open(ctx, ledger.Recorded{
		ID: p.ID, Target: p.Target, Storage: backup.Storage{Account: p.Share.Account, Zone: p.Share.Zone}, Share: p.Share.Name, SHA256: p.SHA256, Facts: p.Facts,
	})
	if err != nil {
		return copied{}, fmt.Errorf("%s: %w", text.Plain(p.ID), err)
	}
	return copied{p.ID, point.Source(), point}, nil
}

// unknown says whether the app's answer is that it has no such recovery point.
func unknown(body []byte) bool {
	var answer struct {
		Error api.Problem `json:"error"`
	}
	return json.Unmarshal(body, &answer) == nil && answer.Error.Code == "RecoveryPointNotFound"
}

func (c copied) size() (total int64) {
	for _, f := range c.source.Files {
		total += f.Size
	}
	return total
}

// mostDiffering is the number of differences that a report lists.
const mostDiffering = 8

// compare adds to the report of a recovery point what the app has recorded otherwise.
func (c copied) compare(ctx context.Context, r *ccf.Report, progress func(read int64)) error {
	if c.point == nil {
		return nil
	}
	found, err := c.point.Compare(ctx, *r, progress)
	if most := min(len(found), mostDiffering); err == nil {
		r.Errors, r.MoreErrors = append(r.Errors, found[:most]...), r.MoreErrors+len(found)-most
	}
	return err
}

// differs returns the error of a recovery point that is not as it was recorded.
func (c copied) differs(r ccf.Report) error {
	for _, f := range r.Errors {
		if f.Code == ledger.FactDiffers || f.Code == ledger.FileDiffers {
			return listed(c.name, r)
		}
	}
	return nil
}

// place is the place of a recovery point, for programs.
type place struct {
	ID      string `json:"id"`
	Account string `json:"storageAccount"`
	Share   string `json:"fileShare"`
}

// place returns nil for a folder.
func (c copied) place() *place {
	if c.point == nil {
		return nil
	}
	return &place{c.point.ID, c.point.Storage.AccountName(), c.point.Share}
}
