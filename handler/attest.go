package handler

import (
	"errors"
	"net/http"
	"slices"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/request"
)

// postStatement stores a statement about the thing in custody for a target: {"target": its resource ID, "statement": the signed JSON,
// "anew": whether it takes the place of all earlier ones}. A repeat changes nothing.
func (h *handler) postStatement(w http.ResponseWriter, r *http.Request) error {
	text, err := bodyOf(r)
	if err != nil {
		return err
	}
	fields := request.NewReader(request.Read(text, ""))
	a := engine.Attestation{ID: h.requestID(r), Anew: fields.Flag("anew"), Statement: fields.Object("statement")}
	a.Target = fields.Resource("target", fields.Texts("target")["target"])
	fields.End()
	if err := fields.Err(); err != nil {
		return invalid(err)
	}
	active, err := h.Plans.Current(r.Context())
	if err != nil {
		return planError(err)
	}
	has := func(p backup.Plan) bool { return p.Has(a.Target) }
	if !slices.ContainsFunc(active.Plans, has) {
		return refuse(http.StatusBadRequest, "UnknownTarget", "target", "no plan has the target %s", a.Target)
	}
	proof, err := h.Engine.Attest(r.Context(), a, active.Plans)
	wrong, isWrong := errors.AsType[*engine.StatementError](err)
	switch {
	case errors.Is(err, engine.ErrNotAsked):
		return refuse(http.StatusConflict, "StatementNotAsked", "target", "no plan asks for statements about %s: see docs/security-domain.md",
			a.Target)
	case isWrong:
		return refuse(http.StatusBadRequest, "InvalidStatement", "statement", "the statement is not stored: %v", wrong)
	case err != nil:
		return err
	}
	writeJSON(w, http.StatusOK, api.Attested{Target: a.Target, Custody: *viewCustody(&proof)})
	return nil
}

// viewCustody shows a proof; nil if there is none to show.
func viewCustody(p *backup.Proof) *api.Custody {
	if p == nil {
		return nil
	}
	return &api.Custody{
		Status: p.Status, Reason: viewReason(p.Reason, ""), Proven: p.Proven, Holders: p.Holders, Quorum: p.Quorum, Of: p.Of, Until: p.Until,
	}
}
