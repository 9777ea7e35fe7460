package ccf

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// proposalInfo is the value of the table of the states of proposals.
type proposalInfo struct {
	Ballots  map[string]string `json:"ballots"`
	Final    map[string]bool   `json:"final_votes"`
	Proposer string            `json:"proposer_id"`
	State    string            `json:"state"`
	Failure  *struct {
		Reason string `json:"reason"`
	} `json:"failure"`
}

// decide follows one proposal through a transaction: it is made, members vote on it, it ends.
func (g *Governance) decide(t *Transaction, w Write, proposals rows, signed map[string]*message) {
	id := string(w.Key)
	if w.Removed { // it ended before
		delete(g.proposals, id)
		return
	}
	var info proposalInfo
	if json.Unmarshal(w.Value, &info) != nil {
		g.event(t, Event{Kind: ProposalEvent, Proposal: id, Text: "what became of the proposal cannot be read"})
		return
	}
	votes, known := g.proposals[id]
	if !known {
		votes = map[string]bool{}
		g.proposals[id] = votes
	}
	if n := slices.IndexFunc(proposals, func(p Write) bool { return string(p.Key) == id && !p.Removed }); n >= 0 {
		g.propose(t, id, info.Proposer, proposals[n].Value, signed[info.Proposer])
	}
	for _, member := range slices.Sorted(maps.Keys(info.Ballots)) {
		if votes[member] {
			continue
		}
		votes[member] = true
		m := signed[member]
		if m != nil && m.kind != "ballot" && m.state != Unverified { // the vote is in the proposal itself
			m = nil
		}
		e := Event{Kind: VoteEvent, Member: member, Proposal: id, Text: "a vote"}
		g.event(t, e.sign(m, ballotProblem(m, id, info.Ballots[member])))
	}
	if info.State != "Open" {
		g.ended(t, id, info, signed)
	}
}

// propose tells a proposal that is made, by the actions in it.
func (g *Governance) propose(t *Transaction, id, proposer string, content []byte, m *message) {
	var p struct {
		Actions []struct {
			Name string `json:"name"`
		} `json:"actions"`
	}
	text := "a proposal that cannot be read"
	if json.Unmarshal(content, &p) == nil {
		var names []string
		for _, a := range p.Actions {
			names = append(names, a.Name)
		}
		text = "a proposal: " + strings.Join(names, ", ")
	}
	problem := ""
	if m != nil && m.state == Valid && string(m.payload) != string(content) {
		problem = "it is of another proposal"
	}
	g.event(t, Event{Kind: ProposalEvent, Member: proposer, Proposal: id, Text: text}.sign(m, problem))
}

// ballotProblem says why a member's message is not one of this vote.
func ballotProblem(m *message, id, ballot string) string {
	if m == nil || m.state != Valid {
		return ""
	}
	var signed struct {
		Ballot string `json:"ballot"`
	}
	switch {
	case m.proposal != id:
		return "it is of another proposal"
	case json.Unmarshal(m.payload, &signed) != nil || signed.Ballot != ballot:
		return "it is of another vote"
	}
	return ""
}

// ended tells how a proposal ended, and which votes counted. Its proposer signs that it is withdrawn.
func (g *Governance) ended(t *Transaction, id string, info proposalInfo, signed map[string]*message) {
	e := Event{Kind: DecisionEvent, Proposal: id, Text: "the proposal is " + info.State}
	if info.Failure != nil {
		e.Text += ": " + info.Failure.Reason
	}
	for _, member := range slices.Sorted(maps.Keys(info.Final)) {
		if info.Final[member] {
			e.Yes = append(e.Yes, member)
		} else {
			e.No = append(e.No, member)
		}
	}
	if m := signed[info.Proposer]; m != nil && m.kind == "withdrawal" {
		problem := ""
		if m.proposal != id {
			problem = "it is of another proposal"
		}
		e.Member = info.Proposer
		e = e.sign(m, problem)
	}
	g.event(t, e)
}
