package metrics_test

import (
	"testing"

	"lifeboat/internal/metrics"
)

// TestNegotiate: Prometheus 2.42 and 3.16, vmagent 1.150 and Telegraf 1.37 send the first four.
func TestNegotiate(t *testing.T) {
	for accept, want := range map[string]metrics.Format{
		"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1": metrics.OpenMetrics,
		"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.7,application/openmetrics-text;version=0.0.1;q=0.6," +
			"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.3": metrics.OpenMetrics,
		"text/plain;version=0.0.4;q=1,*/*;q=0.1": metrics.Text,
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,text/plain;version=0.0.4;q=0.3": metrics.Text,

		"": metrics.Text, "*/*": metrics.Text, "text/*": metrics.Text, "text/html": metrics.Text, "application/json;q=1, */*;q=0": metrics.Text,
		"application/openmetrics-text": metrics.OpenMetrics, "application/*": metrics.OpenMetrics, "text/plain;q=0, */*": metrics.OpenMetrics,
		"application/openmetrics-text;version=2.0.0": metrics.OpenMetrics, "application/openmetrics-text;version=9.9;q=0.1,text/html": metrics.OpenMetrics,
		"Application/OpenMetrics-Text; Q=0.9 , TEXT/PLAIN ;q=0.8": metrics.OpenMetrics,

		// the quality counts, then the order
		"application/openmetrics-text;q=0.4,text/plain;q=0.5":                               metrics.Text,
		"text/plain;q=0.4,application/openmetrics-text;q=0.5":                               metrics.OpenMetrics,
		"text/plain,application/openmetrics-text":                                           metrics.Text,
		"application/openmetrics-text,text/plain":                                           metrics.OpenMetrics,
		"text/plain,application/openmetrics-text,text/plain;version=0.0.4":                  metrics.Text,
		"application/openmetrics-text;q=0,text/plain;q=0":                                   metrics.Text,
		"application/openmetrics-text;q=0":                                                  metrics.Text,
		"application/openmetrics-text;q=0.000,*/*":                                          metrics.Text,
		"application/openmetrics-text;q=0.2;version=1.0.0,application/openmetrics-text;q=1": metrics.OpenMetrics,

		// the most specific range counts, whatever its quality
		"application/openmetrics-text;q=0.1,application/*;q=1,text/plain;q=0.5": metrics.Text,
		"*/*;q=1,application/openmetrics-text;q=0.5,text/*;q=0.1":               metrics.OpenMetrics,

		// a comma in quotes separates nothing, and an element that cannot be read asks for nothing
		`text/plain;q=0.5;x="a,application/openmetrics-text"`: metrics.Text,
		`application/openmetrics-text;x="\",",text/plain;q=0`: metrics.OpenMetrics,
		"application/openmetrics-text;q=high,text/plain;q=0":  metrics.Text,
		"application/openmetrics-text;q=-1":                   metrics.Text,
		"application/openmetrics-text;q=2":                    metrics.Text,
		"application/openmetrics-text;q=NaN,text/plain":       metrics.Text,
		",,application/openmetrics-text,;":                    metrics.OpenMetrics,
		"openmetrics":                                         metrics.Text,
	} {
		if got := metrics.Negotiate(accept); got != want {
			t.Errorf("%q gets %s", accept, got)
		}
	}
}
