package domainwriter_test

import (
	"bytes"
	"crypto/rsa"
	"encoding/json"
	"strings"
	"testing"

	"lifeboat/internal/testing/fakeazure/domainwriter"
)

// TestBlob takes a security domain through the blob of its restore, with each quorum of its holders, and refuses what is not the blob.
func TestBlob(t *testing.T) {
	var people []domainwriter.Holder
	for _, name := range []string{"alice", "bob", "carol", "exchange", "anchor"} {
		people = append(people, domainwriter.NewHolder(name, 2048))
	}
	holders, exchange := people[:3], people[3]
	d := domainwriter.New("contoso-hsm", 2, people[4].Key, holders...)
	var blob domainwriter.Blob
	for without := range holders {
		quorum := []domainwriter.Holder{holders[(without+1)%3], holders[(without+2)%3]}
		var err error
		if blob, err = d.File().ForExchange(exchange.Cert, quorum...); err != nil {
			t.Fatal(err)
		}
		opened, err := domainwriter.OpenBlob(blob.JSON(), "contoso-new", exchange)
		if err != nil {
			t.Fatal(err)
		}
		if opened.ID != d.ID || opened.Name != "contoso-new" || !opened.Anchor().Equal(d.Anchor()) || opened.Master == d.Master {
			t.Errorf("without %s: %s of %s", holders[without].Name, opened.ID, opened.Name)
		}
		for i, part := range opened.Parts {
			if part.Tag != d.Parts[i].Tag || !bytes.Equal(part.Content, d.Parts[i].Content) {
				t.Errorf("the part %s changed", part.Tag)
			}
		}
	}
	if _, err := d.File().ForExchange(exchange.Cert, holders[0]); err == nil {
		t.Error("one holder is a quorum of two")
	}
	if _, err := d.File().ForExchange(exchange.Cert, holders[0], exchange); err == nil {
		t.Error("who is no holder counts")
	}
	other := [32]byte{1}
	for why, change := range map[string]func(*domainwriter.Blob){
		"exchange key": func(b *domainwriter.Blob) { b.WrappedKey.X5T = domainwriter.X5T(holders[0].Cert) },
		"lacks a part": func(b *domainwriter.Blob) { b.EncData.Data = b.EncData.Data[:2] },
		"another key": func(b *domainwriter.Blob) {
			b.WrappedKey.Key = domainwriter.Wrap(holders[0].Cert.PublicKey.(*rsa.PublicKey), other[:])
		},
		"tag of a JWE": func(b *domainwriter.Blob) {
			b.WrappedKey.Key = domainwriter.Wrap(exchange.Cert.PublicKey.(*rsa.PublicKey), other[:])
		},
		"another part": func(b *domainwriter.Blob) { b.EncData.Data[0].Tag = domainwriter.Enclave },
		"in the place": func(b *domainwriter.Blob) { b.EncData.Data[0] = b.EncData.Data[1] },
	} {
		var changed domainwriter.Blob
		if err := json.Unmarshal(blob.JSON(), &changed); err != nil {
			t.Fatal(err)
		}
		change(&changed)
		if _, err := domainwriter.OpenBlob(changed.JSON(), "contoso-new", exchange); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", why, err)
		}
	}
	for _, text := range []string{"", "{}", string(d.File().JSON()), string(blob.JSON()) + "{}"} {
		if _, err := domainwriter.OpenBlob([]byte(text), "contoso-new", exchange); err == nil {
			t.Errorf("%.40q was opened", text)
		}
	}
}
