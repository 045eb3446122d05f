package broker_test

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// setClientMetrics makes or changes a CLIENT_METRICS resource.
func setClientMetrics(t *testing.T, w *wire, name string, settings ...string) {
	t.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.SetVersion(1)
	res := kmsg.NewIncrementalAlterConfigsRequestResource()
	res.ResourceType, res.ResourceName = 16, name
	for i := 0; i < len(settings); i += 2 {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Value = settings[i], &settings[i+1]
		res.Configs = append(res.Configs, c)
	}
	req.Resources = append(req.Resources, res)
	resp := w.call(req).(*kmsg.IncrementalAlterConfigsResponse)
	if code := resp.Resources[0].ErrorCode; code != 0 {
		t.Fatalf("%v: %v", settings, protocol.ErrorCode(code))
	}
}

func TestTelemetryIsAdvertisedOnlyWithAReceiver(t *testing.T) {
	for _, tt := range []struct {
		options []string
		want    bool
	}{{nil, false}, {[]string{"barnabas.telemetry.receiver=log"}, true}} {
		w := dial(t, brokertest.Start(t, tt.options...))
		req := kmsg.NewPtrApiVersionsRequest()
		req.SetVersion(0)
		got := 0
		for _, k := range w.call(req).(*kmsg.ApiVersionsResponse).ApiKeys {
			if k.ApiKey == protocol.KeyGetTelemetrySubscriptions || k.ApiKey == protocol.KeyPushTelemetry {
				got++
			}
		}
		if (got == 2) != tt.want {
			t.Errorf("%v: %d of the two APIs are advertised", tt.options, got)
		}
	}
}

// franz-go pushes its metrics when it closes, whatever the interval.
func TestMetricsOfARealClientReachTheReceiver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics")
	b := brokertest.Start(t, "barnabas.telemetry.receiver="+path)
	setClientMetrics(t, dial(t, b), "everything", "metrics", "*", "interval.ms", "100", "match", "client_id=pusher")

	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Address()), kgo.AllowAutoTopicCreation(), kgo.ClientID("pusher"), kgo.DefaultProduceTopic("t"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for { // until it has pushed
		if err := cl.ProduceSync(ctx, kgo.StringRecord("r")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err == nil && info.Size() > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	cl.Close()
	all, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	size, n := binary.Uvarint(all)
	if n <= 0 || size == 0 || int(size) > len(all)-n || all[n] != 0x0a {
		t.Fatalf("% x... is no delimited MetricsData", all[:min(20, len(all))])
	}
}
