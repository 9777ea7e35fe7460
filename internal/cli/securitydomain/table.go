package securitydomain

import (
	"fmt"
	"strings"
	"time"

	"lifeboat/internal/cli/text"
	"lifeboat/internal/services/managedhsm/securitydomain"
)

// table prints the report for people.
func (sh Shell) table(r securitydomain.Report, alone bool) error {
	var d text.Details
	size := ""
	if r.Size > 0 {
		size = fmt.Sprintf(", %d bytes", r.Size)
	}
	d.Row("file", r.Name+size)
	d.Row("SHA-256", r.SHA256)
	d.Row("outcome", summary(r, alone))
	if r.Quorum > 0 {
		d.Row("quorum", fmt.Sprintf("%d of %s, %d opened", r.Quorum, text.Count(len(r.Holders), "holder"), r.Opened))
	}
	for _, h := range r.Holders {
		d.Row(fmt.Sprintf("holder %d", h.Number), sh.holder(h)...)
	}
	for _, p := range r.Parts {
		d.Row("part "+p.Tag, p.State)
	}
	if i := r.Identity; i != nil {
		d.Row("security domain", i.ID)
		if a := i.Anchor; a != nil {
			d.Row("made for", a.Name+", activated "+a.Activated.Format(time.RFC3339))
			d.Row("trust anchor", a.SHA256)
		}
	}
	d.Row("attestation", r.Attestation)
	for _, list := range []struct {
		name     string
		findings []securitydomain.Finding
	}{{"error", r.Errors}, {"warning", r.Warnings}, {"note", r.Notes}} {
		for _, f := range list.findings {
			d.Row(list.name+" "+string(f.Code), f.Text)
		}
	}
	return d.Print(sh.Stdout, sh.Width())
}

// holder says who has a share, and which keys open it.
func (sh Shell) holder(h securitydomain.Holder) []string {
	who := h.Subject
	if h.Expires != nil {
		verb := "expires"
		if h.Expires.Before(sh.Now()) {
			verb = "expired"
		}
		who += ", " + verb + " " + h.Expires.Format(time.DateOnly)
	}
	opened := "not opened"
	if len(h.OpenedBy) > 0 {
		opened = "opened by " + strings.Join(h.OpenedBy, ", ")
	}
	return []string{opened, who, h.Thumbprint, h.X5T}
}
