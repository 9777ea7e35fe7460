package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/tzdata"
)

// This file adds to the published schema what the program checks by itself, in better words: so an editor finds it too.

// Schema returns the published JSON Schema of plan.yaml for the services: the schema by which the program checks, the names of all
// time zones, and the rules between the fields of a plan.
func Schema(services backup.Services) []byte {
	const anyZone, ofPlan, ofFile = "      \"minLength\": 1,\n      \"errorMessage\": \"is not a time zone", `      "required": ["name",`, `  "required": ["version",`
	var zones strings.Builder
	line := ""
	for _, name := range tzdata.Embedded().Names() {
		if len(line)+len(name) > 120 {
			fmt.Fprintf(&zones, "%s\n        ", strings.TrimSuffix(line, " "))
			line = ""
		}
		line += fmt.Sprintf("%q, ", name)
	}
	enum := "      \"enum\": [\n        " + zones.String() + strings.TrimSuffix(line, ", ") + "\n      ],\n"
	return []byte(strings.NewReplacer(anyZone, enum+anyZone, ofPlan, indented("      ", between(services))+ofPlan,
		ofFile, indented("  ", []rule{{
			"if":   rule{"not": rule{"properties": rule{"defaults": object(rule{"required": only("storage")})}, "required": only("defaults")}},
			"then": rule{"properties": rule{"plans": rule{"type": "array", "items": object(rule{"required": only("storage")})}}},
		}})+ofFile,
		`          "errorMessage": "is not a cron`, indented("          ", schedules())+`          "errorMessage": "is not a cron`).
		Replace(string(checked(services))))
}

// rule is a part of a schema.
type rule map[string]any

// object adds the type to a rule: validators in a strict mode want it.
func object(r rule) rule {
	r["type"] = "object"
	return r
}

// only returns the list of one name.
func only(name string) []string { return []string{name} }

// indented returns the keyword allOf with the rules.
func indented(margin string, rules []rule) string {
	text, _ := json.MarshalIndent(rules, margin, "  ") // these types are always written
	return margin + `"allOf": ` + string(text) + ",\n"
}

// between returns the rules between the fields of a plan, which depend on the types of its targets.
func between(services backup.Services) (rules []rule) {
	var blocks []string
	for _, s := range services {
		has := hasTarget(s)
		if s.Restorable > 0 {
			within := object(rule{"properties": rule{"within": rule{
				"type":         "string",
				"not":          rule{"type": "string", "pattern": longer(s.Restorable)},
				"errorMessage": fmt.Sprintf("is longer than %s can restore a backup: %d days", s.Type, int(s.Restorable.Hours()/24)),
			}}})
			rules = append(rules, rule{"if": has, "then": rule{"properties": rule{"keep": within, "onDemand": object(rule{"properties": rule{"keep": within}})}}})
		}
		if s.Restore.Safety != backup.SafetyOptional {
			safety := rule{"safetyBackup": rule{
				"not":          rule{"enum": map[bool][]any{true: {true, "required"}, false: {false, "never"}}[s.Restore.Safety == backup.SafetyImpossible]},
				"errorMessage": map[bool]string{true: "cannot be: there is nothing left to back up", false: "cannot be: it is made unless a request says no"}[s.Restore.Safety == backup.SafetyImpossible],
			}}
			rules = append(rules, rule{"if": concerns(s), "then": rule{"properties": rule{"restore": object(rule{"properties": safety})}}})
		}
		rules = append(rules, rule{"if": inRestore("into", s), "then": concerns(s)})
		if s.Block != nil && !slices.Contains(blocks, s.Block.Field) {
			blocks = append(blocks, s.Block.Field)
			rules = append(rules, needs(s.Block.Field, services, concerns, func(other backup.Service) bool {
				return other.Block != nil && other.Block.Field == s.Block.Field
			}))
		}
	}
	keep := rule{"if": rule{"required": only("keep")}, "then": rule{"properties": rule{"keep": object(rule{"anyOf": ruled()})}}}
	return append(rules, keep, needs("onChange", services, hasTarget, func(s backup.Service) bool { return s.Changes != nil }))
}

// ruled lists the ways in which keep has a rule that is on.
func ruled() []rule {
	ways := []rule{{"required": only("within")}}
	for _, count := range (backup.Counts{}).Each() {
		ways = append(ways, rule{"required": only(count.Name), "properties": rule{count.Name: rule{"type": "integer", "minimum": 1}}})
	}
	return ways
}

// needs is the rule that a plan with the field is about one of the services that it is for.
func needs(field string, services backup.Services, about func(backup.Service) rule, isFor func(backup.Service) bool) rule {
	var either []rule
	for _, s := range services {
		if isFor(s) {
			either = append(either, about(s))
		}
	}
	if either == nil {
		return rule{"not": rule{"required": only(field)}}
	}
	return rule{"if": rule{"required": only(field)}, "then": rule{"anyOf": either}}
}

// hasTarget is the rule that a plan has a target of the service.
func hasTarget(s backup.Service) rule {
	return rule{"required": only("targets"), "properties": rule{"targets": rule{"type": "array", "contains": rule{"type": "string", "pattern": ofTypePattern(s)}}}}
}

// concerns is the rule that a plan has a target of the service, or restores what is left of one.
func concerns(s backup.Service) rule {
	return rule{"anyOf": []rule{hasTarget(s), inRestore("from", s)}}
}

// inRestore is the rule that a list of the field restore has a resource of the service.
func inRestore(list string, s backup.Service) rule {
	return rule{"required": only("restore"), "properties": rule{"restore": object(rule{"required": only(list), "properties": rule{
		list: rule{"type": "array", "contains": rule{"type": "string", "pattern": ofTypePattern(s)}},
	}})}}
}

func ofTypePattern(s backup.Service) string { return "/" + inAnyCase(s.Type) + "/[^/]*/?$" }

// longer returns the pattern of times longer than most, which is of whole weeks or days.
func longer(most time.Duration) string {
	days := int(most.Hours() / 24)
	return fmt.Sprintf("^((%s)w|(%s)d|(%s)h)$", above(days/7), above(days), above(days*24))
}

// above returns the pattern of whole numbers of at most six digits above n, which has fewer.
func above(n int) string {
	digits := strconv.Itoa(n)
	var ways []string
	for i, d := range digits {
		if d < '9' {
			ways = append(ways, fmt.Sprintf("%s[%c-9][0-9]{%d}", digits[:i], d+1, len(digits)-i-1))
		}
	}
	return strings.Join(append(ways, fmt.Sprintf("[1-9][0-9]{%d,5}", len(digits))), "|")
}

// schedules returns the rules of schedules that their pattern does not have: days of the month and of the week are not both
// restricted, no range goes downwards, and the day is one that a month has.
func schedules() (rules []rule) {
	const front = "^ *([^ ]+ +)?[^ ]+ +[^ ]+ +"
	for _, refused := range []string{
		front + "[0-9Ll][^ ]* +[^ ]+ +[0-9A-Za-z][^ ]* *$",
		front + "3[01] +(0?2|" + inAnyCase("FEB") + ") +[^ ]+ *$",
		front + "31 +(0?[469]|11|" + strings.Join(inAnyCases("APR", "JUN", "SEP", "NOV"), "|") + ") +[^ ]+ *$",
		"(^|[ ,])(" + downwards() + ")([ ,/]|$)",
	} {
		rules = append(rules, rule{"not": rule{"type": "string", "pattern": refused}})
	}
	return rules
}

func inAnyCases(words ...string) []string {
	for i, word := range words {
		words[i] = inAnyCase(word)
	}
	return words
}

// downwards returns the pattern of ranges that go downwards, of numbers up to 59 and of names.
func downwards() string {
	var ways []string
	for tens := range 6 {
		ten := strconv.Itoa(tens)
		switch tens {
		case 0:
			ten = "0?"
		case 1:
			ways = append(ways, "1[0-9]-0?[0-9]")
		default:
			ways = append(ways, fmt.Sprintf("%d[0-9]-(0?[0-9]|[1-%d][0-9])", tens, tens-1))
		}
		for unit := 1; unit < 10; unit++ {
			ways = append(ways, fmt.Sprintf("%s%d-%s[0-%d]", ten, unit, ten, unit-1))
		}
	}
	for _, names := range [][]string{
		inAnyCases("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"),
		inAnyCases("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"),
	} {
		for i := range names[1:] {
			ways = append(ways, names[i+1]+"-("+strings.Join(names[:i+1], "|")+")")
		}
	}
	return strings.Join(ways, "|")
}
