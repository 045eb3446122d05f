package admin

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/barnabas-broker/barnabas/broker/exposition"
)

type fakeBroker struct{ ready atomic.Bool }

func (b *fakeBroker) Ready() bool { return b.ready.Load() }

func (b *fakeBroker) WriteMetrics(w *exposition.Writer, partitions bool) {
	w.Gauge("fake", "x")
	w.Bool(partitions)
}

func open(t *testing.T, address string) *Server {
	t.Helper()
	s, err := Listen(context.Background(), Options{Address: address, Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func ask(t *testing.T, s *Server, method, path string, headers ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+s.Address()+path, strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestReadyFollowsTheBrokerAndLiveDoesNot(t *testing.T) {
	s := open(t, "127.0.0.1:0")
	expect := func(path string, want int) {
		t.Helper()
		if got, body := ask(t, s, "GET", path); got != want {
			t.Errorf("%s answered %d %q, not %d", path, got, body, want)
		}
	}
	expect("/livez", 200)
	expect("/readyz", 503)
	expect("/metrics", 200)
	b := &fakeBroker{}
	s.SetBroker(b)
	expect("/readyz", 503)
	b.ready.Store(true)
	expect("/readyz", 200)
	b.ready.Store(false)
	expect("/livez", 200)
	expect("/readyz", 503)
}

func TestMetricsOfPartitionsComeWhenAskedFor(t *testing.T) {
	s := open(t, "127.0.0.1:0")
	s.SetBroker(&fakeBroker{})
	for path, want := range map[string]string{"/metrics": "fake 0\n", "/metrics?partitions=true": "fake 1\n", "/metrics?partitions=false": "fake 0\n"} {
		if _, body := ask(t, s, "GET", path); !strings.Contains(body, want) || !strings.Contains(body, `barnabas_info{version="1.2.3"} 1`) {
			t.Errorf("%s answered\n%s", path, body)
		}
	}
}

func TestOnlyRequestsThatMeanUsAreAnswered(t *testing.T) {
	s := open(t, "127.0.0.1:0")
	port := s.Address()[strings.LastIndexByte(s.Address(), ':'):]
	for _, tt := range []struct {
		header, value string
		want          int
	}{
		{"Host", "localhost" + port, 200},
		{"Host", "LOCALHOST", 200},
		{"Host", "127.0.0.1" + port, 200},
		{"Host", "127.1.2.3", 200},
		{"Host", "[::1]" + port, 200},
		{"Host", "rebound.example.com" + port, 421},
		{"Host", "10.0.0.1", 421},
		{"Host", "localhost.example.com", 421},
		{"Sec-Fetch-Site", "cross-site", 421},
		{"Sec-Fetch-Site", "none", 200},
	} {
		if got, _ := ask(t, s, "GET", "/metrics", tt.header, tt.value); got != tt.want {
			t.Errorf("%s: %s was answered with %d, not %d", tt.header, tt.value, got, tt.want)
		}
	}
}

func TestNothingCanBeChanged(t *testing.T) {
	s := open(t, "127.0.0.1:0")
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
		for _, path := range []string{"/metrics", "/livez", "/debug/pprof/heap", "/debug/pprof/symbol"} {
			if got, _ := ask(t, s, method, path); got != 405 {
				t.Errorf("%s %s was answered with %d", method, path, got)
			}
		}
	}
	for _, path := range []string{"/debug/pprof/cmdline", "/debug/pprof/nothing", "/other"} {
		if got, _ := ask(t, s, "GET", path); got != 404 {
			t.Errorf("GET %s was answered with %d", path, got)
		}
	}
}

func TestProfilesAreWhatTheToolsRead(t *testing.T) {
	s := open(t, "127.0.0.1:0")
	if _, body := ask(t, s, "GET", "/debug/pprof/heap"); !strings.HasPrefix(body, "\x1f\x8b") {
		t.Error("the heap profile is not compressed protobuf")
	}
	if _, body := ask(t, s, "GET", "/debug/pprof/profile?seconds=1"); !strings.HasPrefix(body, "\x1f\x8b") {
		t.Error("the CPU profile is not compressed protobuf")
	}
	if _, body := ask(t, s, "GET", "/debug/pprof/goroutine?debug=1"); !strings.HasPrefix(body, "goroutine profile: total") {
		t.Errorf("the goroutines are\n%s", body)
	}
	for _, bad := range []string{"0", "-1", "1000", "x"} {
		if got, _ := ask(t, s, "GET", "/debug/pprof/profile?seconds="+bad); got != 400 {
			t.Errorf("a profile of %s seconds was answered with %d", bad, got)
		}
	}
}

func TestProbesGetThroughWhenTheRestIsBusy(t *testing.T) {
	s := open(t, "127.0.0.1:0")
	for range maxRequests {
		s.slots <- struct{}{}
	}
	if got, _ := ask(t, s, "GET", "/livez"); got != 200 {
		t.Errorf("/livez answered %d", got)
	}
	if got, _ := ask(t, s, "GET", "/metrics"); got != 503 {
		t.Errorf("/metrics answered %d", got)
	}
}
