package backup

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// This file says what is wrong with a text that was typed or pasted for a resource ID.

// whyNoResource returns what stands behind the text in the error, "" for a resource ID.
func whyNoResource(id string) string {
	const no = "is not a resource ID: "
	if why := pasted(id); why != "" {
		return no + why
	}
	p := strings.Split(id, "/")
	if why := strangeIn(p); why != "" {
		return no + why
	}
	short := len(p) < 9 || p[0] != "" || !strings.EqualFold(p[1], "subscriptions") || !strings.EqualFold(p[3], "resourceGroups") ||
		!strings.EqualFold(p[5], "providers")
	switch {
	case strings.Contains(id, "//"):
		return no + "two slashes follow each other"
	case short:
		return "is not a resource ID of the form " +
			"/subscriptions/{uuid}/resourceGroups/{group}/providers/{namespace}/{type}/{name}"
	case len(p) == 10 && p[9] == "":
		return no + "a slash stands at its end"
	case len(p) > 9:
		return no + "it goes on behind the name of the resource: write " + fmt.Sprintf("%+q", strings.Join(p[:9], "/"))
	case !IsUUID(p[2]):
		return no + fmt.Sprintf("the subscription %+q is not a UUID", p[2])
	case p[4] == "" || p[6] == "" || p[7] == "" || p[8] == "":
		return no + "a part of it is empty"
	case utf8.RuneCountInString(p[4]) > 90 || strings.HasSuffix(p[4], "."):
		return no + fmt.Sprintf("the resource group %+q is no name of one: at most 90 characters, no dot last", p[4])
	}
	return ""
}

// folder matches the beginning of a path of Windows, and within the beginning of a resource ID in another text.
var (
	folder = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z]:[/\\]`) })
	within = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)/subscriptions/`) })
)

// pasted says how a resource ID within the text got its surroundings, "" if it has none.
func pasted(text string) string {
	if strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "//") && !strings.Contains(text, "://") && !strings.Contains(text, `\`) {
		return "" // the most are IDs, and read often
	}
	isURL, isPath := strings.Contains(text, "://"), folder().MatchString(text)
	plain := strings.ReplaceAll(text, `\`, "/")
	if isURL { // some pages of the portal have the ID in their address with %2F for each slash
		if decoded, err := url.PathUnescape(text); err == nil {
			plain = decoded
		}
	}
	instead := "; a resource ID begins with /subscriptions/"
	if at := within().FindStringIndex(plain); at != nil {
		parts := strings.Split(withoutQuery(plain[at[0]:]), "/")
		if id := strings.Join(parts[:min(9, len(parts))], "/"); id != text && whyNoResource(id) == "" {
			instead = fmt.Sprintf("; write %+q", id)
		}
	}
	switch {
	case isURL && strings.Contains(strings.ToLower(text), "://portal."):
		return "it is the address of a page of the Azure portal" + instead
	case isURL:
		return "it is a URL" + instead
	case isPath:
		return "it is a path of Windows; a shell such as Git Bash puts its own folder before an argument that begins with a slash, " +
			"unless MSYS_NO_PATHCONV=1 is set" + instead
	case strings.Contains(text, `\`):
		return "it has backslashes" + instead
	case strings.HasPrefix(text, "//subscriptions/"):
		return "two slashes stand at its beginning" + instead
	}
	return ""
}

// withoutQuery cuts the query off an address: it may be a shared access signature, which no error may show.
func withoutQuery(text string) string {
	if before, _, found := strings.Cut(text, "?"); found {
		return before
	}
	return text
}

// called are the names of the parts of a resource ID, by their numbers.
var called = map[int]string{2: "subscription", 4: "resource group", 6: "namespace", 7: "type", 8: "name"}

// strangeIn finds the first character that Azure does not let a part of a resource ID have: Azure's page on naming rules lets the
// name of a resource group have letters and digits of any script, as .NET's Char.IsLetterOrDigit knows them, and some marks; all
// other parts are of ASCII.
func strangeIn(parts []string) string {
	at := 0 // characters before the part
	for i, part := range parts {
		if strings.IndexFunc(part, func(r rune) bool { return !isName(r) }) < 0 {
			at += len(part) + 1
			continue
		}
		group := i == 4 && len(parts) >= 9
		letters := []rune(part)
		for j, r := range letters {
			if isName(r) || group && isGroup(letters, j) {
				continue
			}
			where := "it"
			if name := called[i]; name != "" && len(parts) >= 9 {
				where = fmt.Sprintf("the %s %+q", name, part)
			}
			return fmt.Sprintf("%s has %s, at character %d", where, strange(r), at+j+1)
		}
		at += utf8.RuneCountInString(part) + 1
	}
	return ""
}

// isName says whether each part of a resource ID may have the character.
func isName(r rune) bool {
	return r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) || strings.ContainsRune("-_.()", r)
}

// isGroup says whether the name of a resource group may have the letter or digit of any script at i.
func isGroup(name []rune, i int) bool {
	r := name[i]
	if like(r) != 0 && besideASCII(name, i) || invisible(r) {
		return false
	}
	return r <= 0xFFFF && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// strange names a character, so that a person can find it: some cannot be seen, and others look like those that belong there.
func strange(r rune) string {
	switch {
	case r == ' ':
		return "a space"
	case r == utf8.RuneError:
		return "something that is not UTF-8"
	case invisible(r):
		return fmt.Sprintf("an invisible character, %U", r)
	case like(r) != 0:
		return fmt.Sprintf("the character %U, which only looks like %q", r, like(r))
	case r == '`', unicode.Is(unicode.Quotation_Mark, r):
		return fmt.Sprintf("a quotation mark, %U %+q", r, r)
	}
	return fmt.Sprintf("the character %U %+q", r, r)
}

// invisible says that a person sees nothing of the character, or a gap; some of these count as letters, such as U+3164.
func invisible(r rune) bool {
	return unicode.IsControl(r) || r == '\u2800' ||
		unicode.In(r, unicode.Cf, unicode.Z, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// The characters of similar look like those of ASCII at the same places of looksLike.
const (
	similar   = "АВЕЅІЈКМНОРСТУХаеѕіјоԛрсԝхуһԁ" + "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧοαν" + "‐‑‒–—―−" + "⁄∕╱⧸" + "․\u212a"
	looksLike = "ABESIJKMHOPCTYXaesijoqpcwxyhd" + "ABEZHIKMNOPTYXoav" + "-------" + "////" + ".K"
)

// like returns the character of ASCII that the character looks like, 0 if it looks like none.
func like(r rune) rune {
	if r >= '！' && r <= '～' { // the wide forms of ASCII
		return r - '！' + '!'
	}
	if at := strings.IndexRune(similar, r); at >= 0 && r > unicode.MaxASCII {
		return rune(looksLike[utf8.RuneCountInString(similar[:at])])
	}
	return 0
}

// besideASCII says whether the letters around the one at i, up to the next mark or digit, have one of ASCII among them: no word is
// of two scripts, and a similar letter in it is a mistake or a trick. A word of Cyrillic alone is a good name.
func besideASCII(name []rune, i int) bool {
	for _, step := range []int{-1, 1} {
		for j := i; j >= 0 && j < len(name) && unicode.IsLetter(name[j]); j += step {
			if name[j] < unicode.MaxASCII {
				return true
			}
		}
	}
	return false
}
