package text

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"go.yaml.in/yaml/v4"
)

// YAML returns a JSON document as YAML, with its members in their order. The error says that it is no JSON.
func YAML(document []byte) ([]byte, error) {
	in := json.NewDecoder(bytes.NewReader(document))
	in.UseNumber()
	node, err := yamlOf(in)
	if err != nil {
		return nil, err
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the JSON document")
	}
	return yaml.Marshal(node)
}

// yamlOf reads the next value.
func yamlOf(in *json.Decoder) (*yaml.Node, error) {
	token, err := in.Token()
	if err != nil {
		return nil, err
	}
	open, ok := token.(json.Delim)
	if !ok {
		if n, ok := token.(json.Number); ok {
			return &yaml.Node{Kind: yaml.ScalarNode, Value: n.String()}, nil
		}
		node := new(yaml.Node)
		return node, node.Encode(token)
	}
	node := &yaml.Node{Kind: yaml.SequenceNode}
	if open == '{' {
		node.Kind = yaml.MappingNode
	}
	for in.More() { // the names of an object are values, too
		value, err := yamlOf(in)
		if err != nil {
			return nil, err
		}
		node.Content = append(node.Content, value)
	}
	_, err = in.Token()
	return node, err
}
