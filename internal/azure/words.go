package azure

import (
	"fmt"
	"html"
	"regexp"
	"strings"
	"sync"

	"lifeboat/internal/pattern"
)

// longestWords is the number of bytes that are kept of a service's text.
const longestWords = 1024

var (
	// signature matches the signature of a SAS, as it stands in a URL, plain or encoded once more.
	signature = pattern.New(`(?i)(sig(?:=|%3D))[^&\s"'<>]+`)
	// page matches the beginning of a page of HTML, such as a proxy's, and title matches its title. A start of the program does
	// not wait for page, which is large.
	page = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?is)^\s*(?:<.{0,500})?<(?:!doctype\s+html|html|head|body)\b`)
	})
	title = pattern.New(`(?is)<title[^>]*>(.*?)</title`)
)

// Scrub makes a service's text fit to be kept and shown. It removes the signatures of SAS, which give access without the key,
// keeps only the title of a page of HTML, and cuts the text off after 1 KiB.
func Scrub(text string) string {
	if is, named := pageTitle(text); is {
		text = named
	}
	text = strings.ToValidUTF8(signature.ReplaceAllString(text, "${1}(secret)"), "?")
	if len(text) <= longestWords {
		return text
	}
	return strings.ToValidUTF8(text[:longestWords], "") + " …"
}

// pageTitle tells whether a text is a page of HTML, and returns its title, or "" if it has none.
func pageTitle(text string) (is bool, named string) {
	if !page().MatchString(text) {
		return false, ""
	}
	if found := title.FindStringSubmatch(text); found != nil {
		named = strings.Join(strings.Fields(html.UnescapeString(found[1])), " ")
	}
	return true, named
}

// Sentences returns a function that tells whether a service's text contains one of these sentences as a whole: between the
// start or the end of the text, or punctuation with a space after it. In a sentence "…" stands for a text that Azure inserts,
// such as a name; it has no space.
//
// No decision searches for less. Azure's texts are full of names that people chose: a group can be called expiring-certs. No
// name of a resource, container, blob, share or key has a space, so a sentence of two words or more is never a name.
func Sentences(texts ...string) func(words string) bool {
	forms := make([]string, len(texts))
	for i, text := range texts {
		if !strings.Contains(text, " ") {
			panic(fmt.Sprintf("%q may be a name", text))
		}
		forms[i] = strings.ReplaceAll(regexp.QuoteMeta(text), "…", `\S*`)
		forms[i] = strings.ReplaceAll(forms[i], " ", `\s+`)
	}
	sentence := sync.OnceValue(func() *regexp.Regexp { // at its first use: few starts of the program ever read such words
		return regexp.MustCompile(`(?i)(?:^|[.:;!?]\s|[\r\n])\s*(?:` + strings.Join(forms, "|") + `)(?:[.:;,!?]\s|[.:;,!?]?\s*(?:[\r\n]|$))`)
	})
	return func(words string) bool { return sentence().MatchString(words) }
}
