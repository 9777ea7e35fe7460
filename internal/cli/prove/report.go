package prove

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/api"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/pattern"
)

// report is the content of the files. Without --names its texts are words of Lifeboat, and codes, tiers and states of Azure.
type report struct {
	Proof   string    `json:"proof"`
	Version string    `json:"version"`
	System  string    `json:"system"`
	Began   time.Time `json:"began"`
	Seconds float64   `json:"seconds"`
	// Result is proved, failed or stopped.
	Result string `json:"result"`
	// Made is the state of the service that the proof has made for itself: there, deleting, purging or gone.
	Made string `json:"made,omitempty"`
	// Key is for that service: a proof of the same ID in another group has another one.
	Key      string           `json:"key,omitempty"`
	Group    string           `json:"group,omitempty"`
	Services []*serviceReport `json:"services"`
	Steps    []step           `json:"steps"`
	Answers  []answer         `json:"answers"`
}

// serviceReport is about one service.
type serviceReport struct {
	Service  string `json:"service"`
	Name     string `json:"name,omitempty"`
	Title    string `json:"type"`
	Tier     string `json:"tier,omitempty"`
	Restored bool   `json:"restored"`
	// The times of the runs are the app's, so that a stop of the proof is not in them.
	BackupSeconds  float64 `json:"backupSeconds,omitempty"`
	RestoreSeconds float64 `json:"restoreSeconds,omitempty"`
	// Codes are Azure's codes for attempts that failed.
	Codes []string `json:"codes,omitempty"`

	kind                                            string
	duringBackup, duringRestore, callsDuringRestore looks
}

// step is one step of the proof.
type step struct {
	Step    string    `json:"step"`
	Service string    `json:"service,omitempty"`
	Began   time.Time `json:"began"`
	Seconds float64   `json:"seconds"`
	// Result is ok, failed or stopped.
	Result string `json:"result"`
	Code   string `json:"code,omitempty"`
	Note   string `json:"note,omitempty"`
}

// answer answers a question about Azure for one service.
type answer struct {
	Service  string `json:"service"`
	Question string `json:"question"`
	Answer   string `json:"answer"`
}

// looks counts what was seen, in the order in which it was seen first.
type looks struct {
	words  []string
	counts map[string]int
}

func (l *looks) note(word string) {
	if l.counts == nil {
		l.counts = map[string]int{}
	}
	if l.counts[word]++; l.counts[word] == 1 {
		l.words = append(l.words, word)
	}
}

// String tells what was seen how often.
func (l *looks) String() string {
	all := make([]string, len(l.words))
	for i, word := range l.words {
		all[i] = fmt.Sprintf("%s (%d)", word, l.counts[word])
	}
	if len(all) == 0 {
		return notSeen
	}
	return strings.Join(all, ", ")
}

const notSeen = "not seen"

// Question is a row of the tables of open questions about Azure in docs/design.md, as far as a proof may answer it.
type Question struct {
	// Type is the resource type of the services that it is about, in lower case.
	Type, Question string

	answer func(s *serviceReport) string
}

// Questions returns the questions that a report answers.
func Questions() []Question {
	gateway, hsm := strings.ToLower(ownType), "microsoft.keyvault/managedhsms"
	never := func(*serviceReport) string { return notSeen }
	return []Question{
		{gateway, "Does a running backup show in `provisioningState`, or refuse a second one?", func(s *serviceReport) string { return s.duringBackup.String() }},
		{gateway, "By which headers does a start of 2024-05-01 tell where to ask about it?", never},
		{gateway, "Do firewalls still admit backups as a trusted Azure service, after 2026-03-15?", never},
		{gateway, "Does a running restore show in `provisioningState`, or refuse another operation?", func(s *serviceReport) string { return s.duringRestore.String() }},
		{gateway, "Is the service settled when its restore has ended?", never},
		{gateway, "With which codes does a backup fail?", (*serviceReport).failures},
		{hsm, "What do calls during a full restore get?", func(s *serviceReport) string { return s.callsDuringRestore.String() }},
		{hsm, "Can its status be asked for then?", never},
		{hsm, "Which role assignments exist after it?", func(s *serviceReport) string {
			if s.Restored {
				return "the person's own, at least: it lists keys"
			}
			return notSeen
		}},
	}
}

// failures are the codes of failed backups.
func (s *serviceReport) failures() string {
	if len(s.Codes) == 0 {
		return notSeen
	}
	return strings.Join(s.Codes, ", ")
}

// backup notes a backup that has ended.
func (s *serviceReport) backup(v api.Run) {
	s.BackupSeconds = v.Ended.Sub(v.Created).Seconds()
	s.codes(v)
}

// restore notes a restore that has ended.
func (s *serviceReport) restore(v api.Run) {
	s.RestoreSeconds = v.Ended.Sub(v.Created).Seconds()
	s.codes(v)
}

func (s *serviceReport) codes(v api.Run) {
	all := []string{}
	for _, f := range v.Failed {
		all = append(all, f.Error.Code)
	}
	if v.Error != nil {
		all = append(all, v.Error.Code)
	}
	for _, code := range all {
		if code = word(code); !slices.Contains(s.Codes, code) {
			s.Codes = append(s.Codes, code)
		}
	}
}

// codeForm is the form of a code, which holds no name but by chance.
var codeForm = pattern.New(`^[A-Za-z0-9]{1,60}$`)

// word returns a code of Azure's, unless it may be anything else.
func word(code string) string {
	if code != "" && !codeForm.MatchString(code) {
		return "hidden"
	}
	return code
}

// begin begins the report.
func (p *proof) begin() {
	p.report = report{Proof: p.id, Key: p.key(), Version: p.Version, System: runtime.GOOS + "/" + runtime.GOARCH, Began: p.Now().UTC(), Steps: []step{}, Answers: []answer{}}
	if p.names {
		p.report.Group = p.group
	}
	for _, s := range p.services {
		p.report.Services = append(p.report.Services, s.report)
	}
}

// end completes the report.
func (p *proof) end(err error) {
	r := &p.report
	r.Seconds = p.Now().UTC().Sub(r.Began).Round(100 * time.Millisecond).Seconds()
	switch {
	case errors.Is(err, client.ErrStopped):
		r.Result = "stopped"
	case err != nil:
		r.Result = "failed"
	default:
		r.Result = "proved"
	}
	for _, s := range r.Services {
		for _, q := range Questions() {
			if q.Type == s.kind {
				r.Answers = append(r.Answers, answer{s.Service, q.Question, q.answer(s)})
			}
		}
	}
}

// save writes both files; it replaces the files of an earlier run of the same proof.
func (p *proof) save() error {
	for i := range p.report.Steps {
		p.report.Steps[i].Code = word(p.report.Steps[i].Code)
	}
	body, err := json.MarshalIndent(p.report, "", "  ")
	if err != nil {
		return err
	}
	for end, content := range map[string]string{".json": string(body) + "\n", ".md": p.report.markdown()} {
		if err := replace(p.file(end), content); err != nil {
			return err
		}
	}
	return nil
}

// replace writes the file so that a process that dies here leaves the old one or the new one.
func replace(name, content string) error {
	if err := os.WriteFile(name+".new", []byte(content), 0o644); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// write saves the report, and tells where it is.
func (p *proof) write() error {
	if err := p.save(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.Stdout, "%s: the report is %s, and .json\n", p.report.Result, p.file(".md"))
	return err
}

// markdown is the report for people.
func (r report) markdown() string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	cell := func(text string) string {
		return strings.Join(strings.Fields(strings.ReplaceAll(text, "|", "\\|")), " ")
	}
	say("# Proof %s: %s\n", r.Proof, r.Result)
	say("lifeboat %s on %s, %s, %.1f s.%s\n", r.Version, r.System, r.Began.Format(time.RFC3339), r.Seconds, map[bool]string{true: " Group " + r.Group + "."}[r.Group != ""])
	if r.Made != "" {
		say("The API Management that the proof has made for itself: %s.\n", r.Made)
	}
	say("| service | type | tier | restored | backup, s | restore, s | codes |\n|---|---|---|---|---|---|---|")
	for _, s := range r.Services {
		name := s.Service
		if s.Name != "" {
			name += ": " + s.Name
		}
		say("| %s | %s | %s | %s | %.1f | %.1f | %s |", cell(name), s.Title, cell(s.Tier), map[bool]string{true: "yes", false: "no"}[s.Restored], s.BackupSeconds,
			s.RestoreSeconds, strings.Join(s.Codes, ", "))
	}
	say("\n| step | service | seconds | result | code | note |\n|---|---|---|---|---|---|")
	for _, s := range r.Steps {
		say("| %s | %s | %.1f | %s | %s | %s |", s.Step, s.Service, s.Seconds, s.Result, s.Code, cell(s.Note))
	}
	say("\n| open question about Azure | service | seen here |\n|---|---|---|")
	for _, a := range r.Answers {
		say("| %s | %s | %s |", cell(a.Question), a.Service, cell(a.Answer))
	}
	return b.String()
}
