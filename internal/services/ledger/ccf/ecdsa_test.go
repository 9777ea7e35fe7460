package ccf

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"math/big"
	"testing"
)

// TestECDSALikeTheStandardLibrary compares the quick verification with the standard library's: over keys whose points meet the
// generator's multiples in the sum, over r and s at the ends of their range, and over digests of other lengths.
func TestECDSALikeTheStandardLibrary(t *testing.T) {
	n := elliptic.P384().Params().N
	minus := func(k int64) *big.Int { return new(big.Int).Sub(n, big.NewInt(k)) }
	var secrets []*big.Int
	for k := int64(1); k <= 40; k++ {
		secrets = append(secrets, big.NewInt(k), minus(k))
	}
	for range 20 {
		key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		secret, err := key.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, new(big.Int).SetBytes(secret))
	}
	yes, no := 0, 0
	for _, secret := range secrets {
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P384(), secret.FillBytes(make([]byte, 48)))
		if err != nil {
			t.Fatal(err)
		}
		digest := sha512.Sum384(secret.Bytes())
		zeros := make([]byte, 48)
		for _, signed := range [][]byte{digest[:], digest[:32], digest[:20], zeros} {
			r, s, err := ecdsa.Sign(rand.Reader, key, signed)
			if err != nil {
				t.Fatal(err)
			}
			for _, other := range []struct {
				digest []byte
				r, s   *big.Int
			}{
				{signed, r, s},
				{signed, r, new(big.Int).Sub(n, s)},
				{signed, s, r},
				{signed, new(big.Int), s},
				{signed, r, new(big.Int)},
				{signed, n, s},
				{signed, new(big.Int).Add(r, n), s},
				{signed, r, new(big.Int).Add(s, n)},
				{signed, new(big.Int).Neg(r), s},
				{signed, big.NewInt(1), big.NewInt(1)},
				{signed, minus(1), minus(1)},
				{digest[1:], r, s},
				{zeros, r, r},
			} {
				want := ecdsa.Verify(&key.PublicKey, other.digest, other.r, other.s)
				if got := quickly(&key.PublicKey, other.digest, other.r, other.s); got != want {
					t.Errorf("secret %x, digest %x, r %x, s %x: %t, and the standard library says %t", secret, other.digest, other.r, other.s, got, want)
				}
				if want {
					yes++
				} else {
					no++
				}
			}
		}
	}
	if yes < 600 || no < 2000 {
		t.Errorf("%d yes, %d no", yes, no)
	}
}
