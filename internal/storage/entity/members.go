package entity

import "iter"

// members yields the members of an object of valid JSON as they stand there: the name with its quotes, and the value. It reads
// a value only to find its end.
func members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		at := skip(object, 0) + 1 // after the brace
		for at = skip(object, at); object[at] == '"'; at = skip(object, at) {
			end := stringEnd(object, at)
			name := object[at:end]
			at = skip(object, skip(object, end)+1) // after the colon
			end = valueEnd(object, at)
			if !yield(name, object[at:end]) {
				return
			}
			if at = skip(object, end); object[at] == ',' {
				at++
			}
		}
	}
}

// skip returns the position after the white space at a position.
func skip(text []byte, at int) int {
	for text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r' {
		at++
	}
	return at
}

// stringEnd returns the position after the string that begins at a position.
func stringEnd(text []byte, at int) int {
	for at++; text[at] != '"'; at++ {
		if text[at] == '\\' {
			at++
		}
	}
	return at + 1
}

// valueEnd returns the position after the value that begins at a position.
func valueEnd(text []byte, at int) int {
	for depth := 0; ; {
		switch text[at] {
		case '"':
			at = stringEnd(text, at)
		case '{', '[':
			depth++
			at++
		case '}', ']':
			depth--
			at++
		default:
			at++
		}
		if c := text[at]; depth == 0 && (c == ',' || c == '}' || c == ']' || c == ' ' || c == '\t' || c == '\n' || c == '\r') {
			return at
		}
	}
}
