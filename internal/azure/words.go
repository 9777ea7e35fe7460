package azure

import (
	"fmt"
	"html"
	"regexp"
	"strings"
)

// longestWords is how much is kept of what a service says at one time, in bytes.
const longestWords = 1024

var (
	// signature is that of a SAS, as it stands in a URL, plain or encoded once more.
	signature = regexp.MustCompile(`(?i)(sig(?:=|%3D))[^&\s"'<>]+`)
	// page is how a page of HTML begins, such as that of a proxy, and title is its title.
	page  = regexp.MustCompile(`(?is)^\s*(?:<.{0,500})?<(?:!doctype\s+html|html|head|body)\b`)
	title = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title`)
)

// Scrub makes what a service says fit to be kept and shown. It takes the signatures of SAS out, since with one nobody needs
// to know the key, leaves of a page of HTML the title, and cuts off what is beyond 1 KiB.
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

// pageTitle tells whether a text is a page of HTML, and its title, "" if it has none.
func pageTitle(text string) (is bool, named string) {
	if !page.MatchString(text) {
		return false, ""
	}
	if found := title.FindStringSubmatch(text); found != nil {
		named = strings.Join(strings.Fields(html.UnescapeString(found[1])), " ")
	}
	return true, named
}

// Sentences makes a test whether one of these stands in what a service said, as a whole: between the start or the end of
// it, or punctuation with a space behind it. In a sentence "…" is what Azure puts there, such as a name; it has no space.
//
// No decision looks for less. What Azure says is full of names that people chose: a group can be called expiring-certs.
// No name of a resource, container, blob, share or key has a space, so a sentence of two words or more is never a name.
func Sentences(texts ...string) func(words string) bool {
	forms := make([]string, len(texts))
	for i, text := range texts {
		if !strings.Contains(text, " ") {
			panic(fmt.Sprintf("%q may be a name", text))
		}
		forms[i] = strings.ReplaceAll(regexp.QuoteMeta(text), "…", `\S*`)
		forms[i] = strings.ReplaceAll(forms[i], " ", `\s+`)
	}
	return regexp.MustCompile(`(?i)(?:^|[.:;!?]\s|[\r\n])\s*(?:` + strings.Join(forms, "|") + `)(?:[.:;,!?]\s|[.:;,!?]?\s*(?:[\r\n]|$))`).MatchString
}
