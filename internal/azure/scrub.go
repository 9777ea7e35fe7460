package azure

import "regexp"

// signature is that of a SAS, as it stands in a URL, plain or encoded once more.
var signature = regexp.MustCompile(`(?i)(sig(?:=|%3D))[^&\s"'<>]+`)

// Scrub takes the signatures of SAS out of what a service says: with one nobody needs to know the key.
func Scrub(text string) string { return signature.ReplaceAllString(text, "${1}(secret)") }
