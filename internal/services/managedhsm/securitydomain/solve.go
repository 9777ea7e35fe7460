package securitydomain

import "slices"

// solution is the secret that some shares give, with the parts that it opens.
type solution struct {
	master [secretSize]byte
	chosen []point
	parts  int // that authenticate
	quorum int // the fewest shares that give the secret
}

// solve looks for shares that open the parts: as many as the quorum says first, and then any number, in case the quorum is wrong. There
// are a thousand sets at the most.
func (f *File) solve(points []point) (best solution) {
	readable := f.readable()
	for _, m := range sizesFrom(f.quorum, len(points)) {
		eachSubset(points, m, func(chosen []point) bool {
			master, ok := secret(chosen)
			if n := f.opened(master[:]); ok && n > best.parts {
				best = solution{master: master, chosen: slices.Clone(chosen), parts: n, quorum: fewest(chosen, master)}
			}
			clear(master[:])
			return best.parts < readable
		})
		if best.parts > 0 {
			break
		}
	}
	return best
}

// readable returns the number of parts that may authenticate.
func (f *File) readable() (n int) {
	for _, p := range f.parts {
		if p.err == nil {
			n++
		}
	}
	return n
}

// sizesFrom returns the sizes of sets to try, that one first.
func sizesFrom(first, most int) (sizes []int) {
	if first >= minQuorum && first <= most {
		sizes = append(sizes, first)
	}
	for m := minQuorum; m <= most; m++ {
		if m != first {
			sizes = append(sizes, m)
		}
	}
	return sizes
}

// opened returns the number of parts that authenticate under the secret.
func (f *File) opened(master []byte) (n int) {
	for _, p := range f.parts {
		if p.err == nil {
			key := partKey(master, p.tag)
			if p.jwe.authentic(key) {
				n++
			}
			clear(key)
		}
	}
	return n
}

// fewest returns how many of the points give the same secret.
func fewest(points []point, master [secretSize]byte) int {
	for n := 1; n < len(points); n++ {
		if fewer, ok := secret(points[:n]); ok && fewer == master {
			return n
		}
	}
	return len(points)
}

// fits tells whether the point lies on the polynomials through the others.
func (p point) fits(others []point) bool { return at(others, p.x) == p.y }

// eachSubset calls do with each set of m points of different positions, until do returns false.
func eachSubset(points []point, m int, do func([]point) bool) {
	chosen := make([]point, 0, m)
	var choose func(from int) bool
	choose = func(from int) bool {
		if len(chosen) == m {
			return do(chosen)
		}
		for i := from; i < len(points); i++ {
			if slices.ContainsFunc(chosen, func(p point) bool { return p.x == points[i].x }) {
				continue
			}
			chosen = append(chosen, points[i])
			if !choose(i + 1) {
				return false
			}
			chosen = chosen[:len(chosen)-1]
		}
		return true
	}
	choose(0)
	clear(chosen[:cap(chosen)])
}
