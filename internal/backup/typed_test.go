package backup_test

import (
	"errors"
	"strings"
	"testing"
	"unicode"

	"lifeboat/internal/backup"
)

// TestTypedIDs checks that each text that is no resource ID is refused in words that say what to change.
func TestTypedIDs(t *testing.T) {
	const (
		sub     = "/subscriptions/00000000-0000-4000-8000-000000000001"
		rest    = "/providers/Microsoft.ApiManagement/service/contoso"
		inGroup = sub + "/resourceGroups/"
		no      = "is not a resource ID: "
		write   = `; write "` + target + `"`
	)
	for name, c := range map[string]struct{ id, why string }{
		"a zero width space":    {inGroup + "rg\u200b" + rest, `the resource group "rg\u200b" has an invisible character, U+200B, at character 70`},
		"a byte order mark":     {"\ufeff" + target, "it has an invisible character, U+FEFF, at character 1"},
		"a no-break space":      {inGroup + "r\u00a0g" + rest, `the resource group "r\u00a0g" has an invisible character, U+00A0, at character 69`},
		"a soft hyphen":         {target + "\u00ad", `the name "contoso\u00ad" has an invisible character, U+00AD, at character 120`},
		"a sign of direction":   {inGroup + "\u202erg" + rest, `the resource group "\u202erg" has an invisible character, U+202E, at character 68`},
		"a filler of Hangul":    {inGroup + "rg\u3164" + rest, `the resource group "rg\u3164" has an invisible character, U+3164, at character 70`},
		"a selector of emoji":   {target + "\ufe0f", `the name "contoso\ufe0f" has an invisible character, U+FE0F, at character 120`},
		"the end of the line":   {target + "\n", `the name "contoso\n" has an invisible character, U+000A, at character 120`},
		"a tab":                 {"\t" + target, "it has an invisible character, U+0009, at character 1"},
		"a space":               {inGroup + "r g" + rest, `the resource group "r g" has a space, at character 69`},
		"a space at the end":    {target + " ", `the name "contoso " has a space, at character 120`},
		"a Cyrillic o":          {strings.Replace(target, "contoso", "cоntoso", 1), `the name "c\u043entoso" has the character U+043E, which only looks like 'o', at character 114`},
		"one in the type":       {strings.Replace(target, "service", "sеrvice", 1), `the type "s\u0435rvice" has the character U+0435, which only looks like 'e', at character 106`},
		"one in the group":      {inGroup + "prоd" + rest, `the resource group "pr\u043ed" has the character U+043E, which only looks like 'o', at character 70`},
		"a Greek capital":       {inGroup + "TESΤ" + rest, `the resource group "TES\u03a4" has the character U+03A4, which only looks like 'T', at character 71`},
		"a sign of Kelvin":      {inGroup + "\u212aey" + rest, `the resource group "\u212aey" has the character U+212A, which only looks like 'K', at character 68`},
		"a wide letter":         {inGroup + "ｒg" + rest, `the resource group "\uff52g" has the character U+FF52, which only looks like 'r', at character 68`},
		"a dash of a text":      {inGroup + "rg–1" + rest, `the resource group "rg\u20131" has the character U+2013, which only looks like '-', at character 70`},
		"a slash of fractions":  {strings.Replace(target, "/rg", "⁄rg", 1), "it has the character U+2044, which only looks like '/', at character 67"},
		"quotation marks":       {`"` + target + `"`, `it has a quotation mark, U+0022 '"', at character 1`},
		"curly ones":            {target + "”", `the name "contoso\u201d" has a quotation mark, U+201D '\u201d', at character 120`},
		"a backtick":            {target + "`", "the name \"contoso`\" has a quotation mark, U+0060 '`', at character 120"},
		"an accent of its own":  {inGroup + "gru\u0308n" + rest, `the resource group "gru\u0308n" has the character U+0308 '\u0308', at character 71`},
		"an emoji":              {inGroup + "rg🚀" + rest, `the resource group "rg\U0001f680" has the character U+1F680 '\U0001f680', at character 70`},
		"a letter of a service": {target + "ü", `the name "contoso\u00fc" has the character U+00FC '\u00fc', at character 120`},
		"a placeholder":         {"/subscriptions/<uuid>/resourceGroups/rg" + rest, `the subscription "<uuid>" has the character U+003C '<', at character 16`},
		"a percent sign":        {inGroup + "r%20g" + rest, `the resource group "r%20g" has the character U+0025 '%', at character 69`},
		"bytes of another code": {target + "\xfc", `the name "contoso\xfc" has something that is not UTF-8, at character 120`},

		"a page of the portal":      {"https://portal.azure.com/#@contoso.onmicrosoft.com/resource" + target + "/overview", "it is the address of a page of the Azure portal" + write},
		"a page of another portal":  {"https://portal.azure.us/#@x/resource" + target, "it is the address of a page of the Azure portal" + write},
		"the ID within an address":  {"https://portal.azure.com/#view/x/id/" + strings.ReplaceAll(target, "/", "%2F"), "it is the address of a page of the Azure portal" + write},
		"a page without an ID":      {"https://portal.azure.com/#home", "it is the address of a page of the Azure portal; a resource ID begins with /subscriptions/"},
		"a URL of Resource Manager": {"https://management.azure.com" + target + "?api-version=2024-05-01", "it is a URL" + write},
		"a URL of the service":      {"https://contoso.azure-api.net", "it is a URL; a resource ID begins with /subscriptions/"},
		"Git Bash": {"C:/Program Files/Git" + target, "it is a path of Windows; a shell such as Git Bash puts its own folder before an argument that begins with a " +
			"slash, unless MSYS_NO_PATHCONV=1 is set" + write},
		"MSYS2": {"D:/msys64" + target + "/", "it is a path of Windows; a shell such as Git Bash puts its own folder before an argument that begins with a " +
			"slash, unless MSYS_NO_PATHCONV=1 is set" + write},
		"backslashes":       {strings.ReplaceAll(target, "/", `\`), "it has backslashes" + write},
		"two slashes first": {"/" + target, "two slashes stand at its beginning" + write},

		"two slashes":      {strings.Replace(target, "/rg", "//rg", 1), "two slashes follow each other"},
		"a slash at last":  {target + "/", "a slash stands at its end"},
		"a child resource": {target + "/apis/echo", `it goes on behind the name of the resource: write "` + target + `"`},
		"no UUID":          {"/subscriptions/dev/resourceGroups/rg" + rest, `the subscription "dev" is not a UUID`},
		"a dot at the end": {inGroup + "rg." + rest, `the resource group "rg." is no name of one: at most 90 characters, no dot last`},
		"a long group":     {inGroup + strings.Repeat("g", 91) + rest, `the resource group "` + strings.Repeat("g", 91) + `" is no name of one: at most 90 characters, no dot last`},
	} {
		_, err := backup.ParseResource(c.id)
		wrong, ok := errors.AsType[*backup.ResourceError](err)
		if !ok || wrong.ID != c.id || wrong.Why != no+c.why {
			t.Errorf("%s: %v\nwant %s", name, err, no+c.why)
		}
	}
	_, err := backup.ParseResource("contoso")
	const form = `"contoso" is not a resource ID of the form /subscriptions/{uuid}/resourceGroups/{group}/providers/{namespace}/{type}/{name}`
	if err == nil || err.Error() != form {
		t.Errorf("got  %v\nwant %s", err, form)
	}
}

// TestTypedSecretsAreNotShown: the query of an address may be a shared access signature.
func TestTypedSecretsAreNotShown(t *testing.T) {
	_, err := backup.ParseResource("https://contoso.blob.core.windows.net/subscriptions/x?sig=secret")
	if err == nil || strings.Contains(err.Error(), "secret") || !strings.HasPrefix(err.Error(), `"https://contoso.blob.core.windows.net/subscriptions/x" is not`) {
		t.Errorf("%v", err)
	}
}

// TestGroupsMayHaveLettersOfAnyScript: a resource group may have every letter and digit that .NET knows as one, in a word of one script,
// and the marks that Azure names.
func TestGroupsMayHaveLettersOfAnyScript(t *testing.T) {
	group := func(name string) error {
		r, err := backup.ParseResource("/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/" + name + "/providers/Microsoft.Web/sites/a")
		if err == nil && r.Group != name {
			t.Errorf("the group %q is read as %q", name, r.Group)
		}
		return err
	}
	for _, name := range []string{"rg", "RG_1-(a).b", "größe", "тест", "тест-prod", "prod_日本", "kayıt", "Αθήνα", strings.Repeat("ü", 90), "1", "-"} {
		if err := group(name); err != nil {
			t.Error(err)
		}
	}
	for r := rune(0x80); r <= 0xFFFF; r++ {
		good := (unicode.IsLetter(r) || unicode.IsDigit(r)) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
		if err := group("1-" + string(r)); (err == nil) != good {
			t.Errorf("%U: %v", r, err)
		}
	}
	for r := rune(0x21); r < 0x80; r++ {
		good := r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || strings.ContainsRune("-_()", r)
		if r == '.' || r == '/' || r == '\\' {
			continue // they have rules of their own
		}
		if err := group("g" + string(r)); (err == nil) != good {
			t.Errorf("%q: %v", r, err)
		}
	}
}

// TestASlashAtTheEnd is no part of an ID; a second one is a mistake.
func TestASlashAtTheEnd(t *testing.T) {
	if got := backup.ResourceID(target + "/"); got != target {
		t.Errorf("got %q", got)
	}
	if _, err := backup.ParseResource(backup.ResourceID(target + "//")); err == nil || !strings.Contains(err.Error(), "a slash stands at its end") {
		t.Errorf("two slashes: %v", err)
	}
}

// FuzzParseResource: any text is a resource ID, or is refused in words of a reasonable length for its own.
func FuzzParseResource(f *testing.F) {
	f.Add(target)
	f.Add("https://portal.azure.com/#@x/resource" + target)
	f.Add(`C:\Program Files\Git` + target)
	f.Fuzz(func(t *testing.T, id string) {
		r, err := backup.ParseResource(id)
		if err == nil && !strings.EqualFold(id, "/subscriptions/"+r.Subscription+"/resourceGroups/"+r.Group+"/providers/"+r.Type+"/"+r.Name) {
			t.Errorf("%q is %+v", id, r)
		}
		if wrong, ok := errors.AsType[*backup.ResourceError](err); err != nil && (!ok || wrong.Why == "" || len(wrong.Why) > 300+20*len(id)) {
			t.Errorf("%q: %v", id, err)
		}
	})
}
