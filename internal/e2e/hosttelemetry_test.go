package e2e

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// telemetry catches what a host sends to Application Insights.
type telemetry struct {
	connection string

	mu    sync.Mutex
	texts []string
	items []item
	wrong []string
}

// item is one line of what is sent.
type item struct {
	Name string
	Data struct {
		BaseType string
		BaseData struct {
			Message, Name, ID string
			SeverityLevel     string
			Properties        map[string]string
		}
	}
}

func newTelemetry(t *testing.T) *telemetry {
	n := &telemetry{}
	server := httptest.NewServer(n)
	t.Cleanup(server.Close)
	n.connection = "InstrumentationKey=00000000-0000-4000-8000-000000000001;IngestionEndpoint=" + server.URL + "/;LiveEndpoint=" + server.URL + "/"
	return n
}

func (n *telemetry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/track") {
		return // live metrics
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	count := 0
	body, err := gzip.NewReader(r.Body)
	if err == nil {
		lines := bufio.NewScanner(body)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			var i item
			if err := json.Unmarshal(lines.Bytes(), &i); err != nil {
				n.wrong = append(n.wrong, lines.Text()+": "+err.Error())
			}
			n.texts, n.items = append(n.texts, lines.Text()), append(n.items, i)
			count++
		}
		err = lines.Err()
	}
	if err != nil {
		n.wrong = append(n.wrong, err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"itemsReceived": count, "itemsAccepted": count, "errors": []string{}})
}

// seen are the texts and items so far.
func (n *telemetry) seen() ([]string, []item) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.texts), slices.Clone(n.items)
}

func (h *hosted) log(ctx context.Context, t *testing.T) {}

func (h *hosted) measure(ctx context.Context, t *testing.T) {}
