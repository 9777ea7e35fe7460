package securitydomain

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/binary"
	"errors"
)

const (
	prime      = 257
	secretSize = 32
)

// point is an opened share: for each byte of the secret the value of its polynomial at x.
type point struct {
	x int
	y [secretSize]int
}

// readPoint reads the content of a share: 32 words of 16 bits, little-endian, each with x in its upper 7 bits and y in its lower 9.
func readPoint(content []byte) (p point, err error) {
	if len(content) != 2*secretSize {
		return p, errors.New("its content has another length than a share")
	}
	for i := range p.y {
		word := binary.LittleEndian.Uint16(content[2*i:])
		x, y := int(word>>9), int(word&0x1ff)
		switch {
		case i == 0:
			p.x = x
		case x != p.x:
			return point{}, errors.New("its content has several positions")
		}
		if x == 0 || y >= prime {
			return point{}, errors.New("its content is no point of a polynomial")
		}
		p.y[i] = y
	}
	return p, nil
}

// at returns the values at x of the polynomials through the points, which have different positions.
func at(points []point, x int) (values [secretSize]int) {
	for j, p := range points {
		over, under := 1, 1
		for k, other := range points {
			if k != j {
				over = over * (x - other.x + prime) % prime
				under = under * (p.x - other.x + prime) % prime
			}
		}
		weight := over * inverse(under) % prime
		for i, y := range p.y {
			values[i] = (values[i] + weight*y) % prime
		}
	}
	return values
}

// inverse returns the inverse of a number modulo 257: its 255th power.
func inverse(a int) int {
	result := 1
	for range prime - 2 {
		result = result * a % prime
	}
	return result
}

// secret returns the master secret that the points share. A wrong set may give a value that is no byte.
func secret(points []point) (master [secretSize]byte, ok bool) {
	values := at(points, 0)
	for i, v := range values {
		if v > 255 {
			return [secretSize]byte{}, false
		}
		master[i] = byte(v)
	}
	return master, true
}

// partKey derives the key of a part: SP 800-108 in counter mode with HMAC-SHA-512, in one block.
func partKey(master []byte, tag string) []byte {
	mac := hmac.New(sha512.New, master)
	mac.Write([]byte{0, 0, 0, 1})
	mac.Write([]byte(tag))
	mac.Write([]byte{0})
	mac.Write(binary.BigEndian.AppendUint32(nil, 8*contentKeySize))
	return mac.Sum(nil)
}
