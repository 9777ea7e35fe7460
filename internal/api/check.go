package api

import (
	"time"

	"lifeboat/internal/check"
)

// Check says what the app's own identity may do for the plans. It is at its end once Ended is there.
type Check struct {
	// Version is the version of the program that answers.
	Version string `json:"version"`
	// PlanHash is the hash of the text of plan.yaml, and Plan the one plan of it that is checked; missing for all.
	PlanHash string `json:"planHash"`
	Plan     string `json:"plan,omitempty"`
	Request  string `json:"requestId,omitempty"`
	// Principal is the object ID of the app's identity, by its own token; missing if that does not say it.
	Principal string    `json:"principalId,omitempty"`
	Began     time.Time `json:"beganDateTime"`
	Ended     time.Time `json:"endedDateTime,omitzero"`
	// Looked counts what was looked at, of Total: the app itself, and each service. Ok counts those without a finding.
	Looked int `json:"looked"`
	Total  int `json:"total"`
	Ok     int `json:"ok"`
	// Findings tell what is not as it should be. Omitted counts the findings without room, and services beyond the limit.
	Findings []Finding `json:"findings"`
	Omitted  int       `json:"omitted,omitempty"`
}

// Finding is something that is not as it should be.
type Finding struct {
	Result check.Result `json:"result"`
	What   string       `json:"what"`
	Target string       `json:"target,omitempty"`
	Error  Problem      `json:"error"`
	// Commands give the role that is missing. The object ID of the app's identity stands in them as $app.
	Commands []string `json:"commands,omitempty"`
}
