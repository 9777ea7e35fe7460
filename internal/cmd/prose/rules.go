package main

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The rules.
const (
	opening   = "opening"
	headless  = "headless"
	doc       = "doc"
	coined    = "word"
	relatives = "relatives"
	actor     = "actor"
)

// sentenceEnd matches the space between two sentences, and the marks between two paragraphs.
var sentenceEnd = regexp.MustCompile(`[.?!][)]?([ \t\n]+)|[\f\v]+`)

// checkText finds the breaches of the rules about sentences and words.
func checkText(text []byte) (found []finding) {
	start := 0
	for start < len(text) {
		stop, next := len(text), len(text)
		if m := sentenceEnd.FindSubmatchIndex(text[start:]); m != nil && m[2] >= 0 {
			stop, next = start+m[2], start+m[3]
		} else if m != nil {
			stop, next = start+m[0], start+m[1]
		}
		inCell := bytes.HasPrefix(bytes.TrimLeft(text[stop:], " "), []byte{cell})
		for _, f := range checkSentence(string(text[start:stop]), inCell) {
			f.offset += start
			found = append(found, f)
		}
		start = next
	}
	return found
}

var (
	begins = regexp.MustCompile(`^[\s(]*((?i:what|who|whoever|of))\b`)

	noNoun = regexp.MustCompile(`(?i)\b(whoever|somebody|nobody)\b` +
		`|\bwhatever\s+(is|are|was|were)\b` +
		`|\b(is|are|was|were)\s+((that|those)\s+of|what)\b` +
		`|\b(is|are)\s+(how|when|where|why|who|whom)\b` +
		`|\b(of|for|from|by|to|with|in|on)\s+what\s+(is|are|was|were)\b` +
		`|[:;,(]\s+((and|but|so|or|because|if|where|while|that)\s+)?what(\s+[\w~'-]+){0,5}\s+(is|are|was|were)\b`)

	// pronoun matches "those of" and its like, after the word before.
	pronoun = regexp.MustCompile(`(?i)(?:([\w~'-]+)\s+)?\b((?:that|those)\s+of|those\s+(?:that|which|who))\b`)
)

// compares are the words between a noun and the pronoun that stands for it: the name of the row and that of the table.
var compares = strings.Fields("than as like unlike from to with and or nor but not except equals matches")

// checkSentence finds what is wrong with a sentence; the offsets count from its first byte. A question in a cell of a
// table may begin with any word.
func checkSentence(s string, inCell bool) (found []finding) {
	add := func(rule string, from, to int, why string) {
		found = append(found, finding{from, rule, strings.Join(strings.Fields(s[from:to]), " ") + why})
	}
	question := inCell && strings.HasSuffix(strings.TrimSpace(s), "?")
	if m := begins.FindStringSubmatchIndex(s); m != nil && !question {
		add(opening, m[2], m[3], " begins the sentence")
	}
	for _, m := range noNoun.FindAllStringIndex(s, -1) {
		if len(found) == 0 || found[0].offset != m[0] { // else the rule above has it
			add(headless, m[0], m[1], "")
		}
	}
	for _, m := range pronoun.FindAllStringSubmatchIndex(s, -1) {
		before := ""
		if m[2] >= 0 {
			before = strings.ToLower(s[m[2]:m[3]])
		}
		if !slices.Contains(compares, before) && !slices.Contains(toBe, before) {
			add(headless, m[4], m[5], " without its noun")
		}
	}
	for pattern, w := range patterns {
		for _, m := range pattern.FindAllStringIndex(s, -1) {
			add(coined, m[0], m[1], ": "+w.standard+" ("+w.why+")")
		}
	}
	if m := clauses(s); len(m) > 1 {
		add(relatives, m[1][0], m[1][1], ": relative clause 2 of "+strconv.Itoa(len(m)))
	}
	return found
}
