package fakeazure

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// serviceBackup is the content of a backup of API Management. Its form in the blob is opaque, as Azure's is: a salt, and then
// in a stream cipher the hash and length of a JSON text, the text, and zeros up to the size of the blob. So a blob that was
// cut or changed anywhere is recognized as broken.
type serviceBackup struct {
	Service string `json:"service"`
	SKU     string `json:"sku"`
	// Created is the start of the backup, by the simulator's clock.
	Created time.Time `json:"created"`
	// Bytes is the size of the blob.
	Bytes         int64         `json:"bytes"`
	Configuration configuration `json:"configuration"`
}

const (
	saltBytes = aes.BlockSize
	// sealBytes is the number of bytes before the text: salt, hash and length.
	sealBytes = saltBytes + sha256.Size + 8
)

var errBroken = errors.New("the backup is broken")

// backupCipher returns the cipher. It is the same for every Sim, so that each can restore another's backup. It is not meant to
// be secret.
func backupCipher(salt []byte) cipher.Stream {
	block, err := aes.NewCipher([]byte("opaque to others"))
	if err != nil {
		panic(fmt.Sprintf("fakeazure: backup cipher: %v", err)) // the key has the right length
	}
	return cipher.NewCTR(block, salt)
}

// seal returns the content of the blob and its size: as wanted, or a little more than the text needs.
func (b serviceBackup) seal(salt []byte, size int64) (io.Reader, int64) {
	b.Bytes = size
	text := encodeJSON(b)
	if least := int64(sealBytes + len(text) + 20); size < least { // a longer number takes up to 19 digits
		b.Bytes = least
		text = encodeJSON(b)
	}
	sum := sha256.Sum256(text)
	plain := binary.BigEndian.AppendUint64(sum[:], uint64(len(text)))
	padding := b.Bytes - int64(sealBytes+len(text))
	return io.MultiReader(bytes.NewReader(salt), &cipher.StreamReader{
		S: backupCipher(salt),
		R: io.MultiReader(bytes.NewReader(plain), bytes.NewReader(text), io.LimitReader(zeros{}, padding)),
	}), b.Bytes
}

// openServiceBackup reads a blob of the size.
func openServiceBackup(content io.Reader, size int64) (b serviceBackup, err error) {
	salt := make([]byte, saltBytes)
	if _, err := io.ReadFull(content, salt); err != nil {
		return b, errBroken
	}
	plain := &cipher.StreamReader{S: backupCipher(salt), R: content}
	head := make([]byte, sealBytes-saltBytes)
	if _, err := io.ReadFull(plain, head); err != nil {
		return b, errBroken
	}
	length := binary.BigEndian.Uint64(head[sha256.Size:])
	if length > uint64(size) {
		return b, errBroken
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(plain, text); err != nil {
		return b, errBroken
	}
	if sum := sha256.Sum256(text); !bytes.Equal(sum[:], head[:sha256.Size]) || json.Unmarshal(text, &b) != nil {
		return b, errBroken
	}
	padding, err := io.Copy(zeros{}, plain)
	if err != nil || sealBytes+int64(length)+padding != b.Bytes {
		return b, errBroken
	}
	return b, nil
}

// zeros is an endless reader of zeros.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func (zeros) Write(p []byte) (int, error) {
	if i := bytes.IndexFunc(p, func(r rune) bool { return r != 0 }); i >= 0 {
		return i, errBroken
	}
	return len(p), nil
}
