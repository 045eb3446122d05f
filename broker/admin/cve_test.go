package admin

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Redpanda Connect's port took programs to run from anybody (2026-123270), and its broker's
// made anybody a super user (2026-82266); ActiveMQ's consoles could be told what to load
// (2023-46604); ZooKeeper's took snapshots for those without the right (2025-58457), and its
// words of four letters were work for anybody (2017-5637). Nothing of the kind is here: no
// path but the listed ones is served, none of them changes anything or shows the command
// line, and nothing but GET and HEAD is understood.
func TestCVE_2026_123270_CVE_2026_82266_CVE_2023_46604_CVE_2025_58457_CVE_2017_5637_TheAdministrationPortOnlyShows(t *testing.T) {
	s := open(t, "127.0.0.1:0")
	s.SetBroker(&fakeBroker{})
	paths := []string{"/jolokia", "/jolokia/exec/java.lang:type=Memory/gc", "/jolokia/write/x", "/actuator", "/actuator/env", "/hawtio", "/console", "/api/jolokia",
		"/api/message", "/fileserver/x", "/admin", "/v1/config", "/v1/security/users", "/v1/node_config", "/streams", "/streams/x", "/connectors", "/connector-plugins",
		"/commands", "/commands/snapshot", "/commands/restore", "/commands/ruok", "/kafkacruisecontrol/rebalance", "/subjects", "/config", "/env", "/shutdown", "/quit",
		"/debug/vars", "/debug/pprof/cmdline", "/debug/pprof/symbol", "/debug/requests", "/metrics/x", "/acls", "/acls/", "/acls/unused/x", "/livez/", "/x", "/favicon.ico"}
	for _, path := range paths {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE", "BREW"} {
			want := http.StatusMethodNotAllowed
			if method == "GET" || method == "HEAD" {
				want = http.StatusNotFound
			}
			if got := raw(t, s, method+" "+path+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); len(got) != 1 || got[0] != want {
				t.Errorf("%s %s: %v, want %d", method, path, got, want)
			}
		}
	}
	for _, word := range []string{"ruok", "stat", "dump", "envi", "kill\n", "mntr\r\n\r\n"} {
		if got := raw(t, s, word); len(got) > 0 && got[0] != http.StatusBadRequest {
			t.Errorf("%q: %v", word, got)
		}
	}
}

// Cruise Control's guard read a path otherwise than its router. Here the guard asks for no
// path: however it is written, a request that must not be served is not, and none reaches by
// a detour what is not there.
func TestCVE_2026_105949_NoSpellingOfAPathPassesTheGuard(t *testing.T) {
	s := open(t, "127.0.0.1:0")
	s.SetBroker(&fakeBroker{})
	for _, path := range []string{"/metrics", "//metrics", "/./metrics", "/x/../metrics", "/%6detrics", "/metrics%2f", "/metrics/..;/metrics", "/metrics;x=y", `/\metrics`, "/%2e%2e/metrics",
		"/%2fmetrics", "/livez/../metrics", "/METRICS", "/metrics?x", "/metrics%00", "/debug/pprof/../pprof/heap", "/debug/pprof/%2e%2e/heap", "/livez", "/readyz", "/",
		"http://localhost/metrics", "*", "metrics"} {
		for name, request := range map[string]string{
			"another site's":   "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n",
			"a change":         "POST " + path + " HTTP/1.1\r\nHost: localhost\r\n",
			"an override":      "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nX-HTTP-Method-Override: GET\r\n",
			"to somebody else": "GET " + path + " HTTP/1.1\r\nHost: rebound.example.com\r\n",
		} {
			if name == "to somebody else" && strings.HasPrefix(path, "http:") {
				continue // the request line's host is the one that counts, RFC 9112 §3.2.2
			}
			for _, code := range raw(t, s, request+"Connection: close\r\n\r\n") {
				if code < 300 {
					t.Errorf("%s: %s is answered with %d", name, path, code)
				}
			}
		}
	}
	for _, path := range []string{"/debug/pprof//cmdline", "/debug/pprof/%63mdline", "/debug/pprof/../../debug/vars", "/debug/./pprof/cmdline"} {
		if got := raw(t, s, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); len(got) != 1 || got[0] < 300 {
			t.Errorf("%s: %v", path, got)
		}
	}
}

// ZooKeeper took an address from a header of the request. Here no header says who asks, or
// for what: what stands in them lets nobody in whom the Host header keeps out.
func TestCVE_2024_51504_NoHeaderSaysWhoAsks(t *testing.T) {
	s := open(t, "127.0.0.1:0")
	for _, header := range []string{"X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1", "Forwarded: for=127.0.0.1;host=localhost", "X-Forwarded-Host: localhost", "X-Original-Host: localhost",
		"X-Client-IP: 127.0.0.1", "True-Client-IP: 127.0.0.1", "X-Original-URL: /livez", "X-Rewrite-URL: /livez", "Authorization: Basic YWRtaW46YWRtaW4="} {
		got := raw(t, s, "GET /metrics HTTP/1.1\r\nHost: rebound.example.com\r\n"+header+"\r\nConnection: close\r\n\r\n")
		if len(got) != 1 || got[0] != http.StatusMisdirectedRequest {
			t.Errorf("%s: %v", header, got)
		}
	}
}

// A request whose length can be read in two ways carries another one past a proxy that
// reads it the other way.
func TestNoRequestIsSmuggledInAnother(t *testing.T) {
	s := open(t, "127.0.0.1:0")
	inner := "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for name, request := range map[string]string{
		"two lengths":              "GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n" + inner,
		"a length and chunks":      "POST /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
		"a body after chunks":      "PUT /livez HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
		"chunks, oddly written":    "POST /livez HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + inner,
		"chunks, twice":            "POST /livez HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + inner,
		"a blank before the colon": "GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length : 44\r\n\r\n" + inner,
		"a negative length":        "GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n" + inner,
		"a signed length":          "GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: +44\r\n\r\n" + inner,
		"two hosts":                "GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: rebound.example.com\r\n\r\n" + inner,
		"a line end in the path":   "GET /livez\rHTTP/1.1 HTTP/1.1\r\nHost: localhost\r\n\r\n" + inner,
		"a long header":            "GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n" + inner,
	} {
		if got := raw(t, s, request); len(got) > 1 || len(got) == 1 && got[0] < 400 {
			t.Errorf("%s: %v", name, got)
		}
	}
	// A body is not read as a request, nor what follows it.
	if got := raw(t, s, "GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 44\r\n\r\n"+inner+inner); len(got) != 1 || got[0] != http.StatusOK {
		t.Errorf("a body: %v", got)
	}
}

// raw sends bytes and returns the status of each answer until the connection is closed. It
// closes its own half: what has begun and will not be ended gets no answer.
func raw(t *testing.T, s *Server, text string) (codes []int) {
	t.Helper()
	c, err := net.Dial("tcp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(c, text); err != nil {
		return nil // closed in our face
	}
	c.(*net.TCPConn).CloseWrite()
	r := bufio.NewReader(c)
	method, _, _ := strings.Cut(text, " ")
	for {
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return codes
		}
		codes = append(codes, resp.StatusCode)
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return codes
		}
		resp.Body.Close()
	}
}
