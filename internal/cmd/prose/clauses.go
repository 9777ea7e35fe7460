package main

import (
	"regexp"
	"slices"
	"strings"
)

// toBe and the words below tell a relative pronoun from a question and a conjunction: after "says", "that" begins no
// relative clause. Where these lists do not decide, there is none, so that few findings are wrong.
var (
	toBe  = strings.Fields("is are was were be")
	verbs = append(strings.Fields("has have had can cannot could may might must will would shall should does do did "+
		"came comes come goes went gave gives holds held needs names keeps kept says said tells takes took makes made "+
		"runs ran reads read writes wrote sends sent stands starts started ends ended begins began waits fails failed "+
		"asks asked gets got puts stays belongs counts shows knows never no nobody nothing"), toBe...)
	asking = strings.Fields("say says said saying tell tells told see sees saw seen know knows known show shows ask asks asked " +
		"so means mean such and or but if when where because while unless than as of about on for with in to by from at " +
		"after before until once is are was were not only all does note notes hold holds decide decides choose chooses " +
		"pretends expects assume assumes ensures")
)

// tokens matches a word or a mark between words.
var tokens = regexp.MustCompile(`[\w'~-]+|[^\s\w]`)

// marks are the marks before a word that end the phrase before it.
const marks = ",.:;!?()/"

// clauses finds the relative pronouns of a sentence.
func clauses(s string) (found [][]int) {
	all := tokens.FindAllStringIndex(s, -1)
	at := func(i int) string {
		if i < 0 || i >= len(all) {
			return ""
		}
		return strings.ToLower(s[all[i][0]:all[i][1]])
	}
	for i := range all {
		before := at(i - 1)
		switch at(i) {
		case "who", "which":
			if before != "" && !slices.Contains(asking, before) {
				found = append(found, all[i])
			}
		case "that":
			if before != "" && !strings.ContainsAny(before, marks) && !slices.Contains(asking, before) && slices.Contains(verbs, at(i+1)) {
				found = append(found, all[i])
			}
		}
	}
	return found
}
