package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/barnabas-broker/barnabas/broker/exposition"
)

const (
	headerTimeout  = 5 * time.Second
	idleTimeout    = time.Minute
	answerTimeout  = 30 * time.Second // of all but profiles, which say how long they take
	maxHeaderBytes = 16 << 10
	maxRequests    = 16 // at a time; more are told to come again
)

// Broker is what the port shows. Until there is one, the process is alive and not ready.
type Broker interface {
	// Ready says whether clients are served.
	Ready() bool
	// WriteMetrics writes the broker's metrics; partitions asks for those of each partition.
	WriteMetrics(w *exposition.Writer, partitions bool)
}

// Options of a Server. Address is required.
type Options struct {
	Address string       // host:port; port 0 takes a free one
	Version string       // of the program
	Logger  *slog.Logger // discards
}

// Server is an open administration port.
type Server struct {
	listener net.Listener
	server   *http.Server
	version  string
	host     string // as configured
	started  time.Time
	broker   atomic.Pointer[Broker]
	slots    chan struct{}
}

// Listen opens the port and serves it until Close.
func Listen(ctx context.Context, opts Options) (*Server, error) {
	logger := opts.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	host, _, err := net.SplitHostPort(opts.Address)
	if err != nil {
		return nil, fmt.Errorf("administration port %q: it is host:port: %w", opts.Address, err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", opts.Address)
	if err != nil {
		return nil, fmt.Errorf("administration port: %w", err)
	}
	s := &Server{listener: listener, version: opts.Version, host: host, started: time.Now(), slots: make(chan struct{}, maxRequests)}
	s.server = &http.Server{
		Handler:           s.guard(s.routes()),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	if addr, ok := netip.AddrFromSlice(listener.Addr().(*net.TCPAddr).IP); !ok || !addr.Unmap().IsLoopback() {
		logger.Warn("The administration port asks for no password and is open to other machines", "address", s.Address())
	}
	go func() {
		if err := s.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("The administration port failed", "err", err)
		}
	}()
	return s, nil
}

// Address is where the port really is.
func (s *Server) Address() string { return s.listener.Addr().String() }

// SetBroker shows b from now on.
func (s *Server) SetBroker(b Broker) { s.broker.Store(&b) }

// Close closes the port; requests under way are cut off.
func (s *Server) Close() error { return s.server.Close() }

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/metrics", s.metrics)
	mux.HandleFunc("/livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/readyz", s.ready)
	mux.HandleFunc("/acls/unused", s.unusedACLs)
	profiles(mux)
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "barnabas "+s.version+"\n\n/metrics\n/metrics?partitions=true\n/livez\n/readyz\n/acls/unused\n/debug/pprof/\n")
	})
	return mux
}

// guard applies what holds for every request.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if r.ContentLength != 0 {
			// A proxy may have read the length of the body otherwise: what follows it on this
			// connection may be somebody else's.
			w.Header().Set("Connection", "close")
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		if !s.meansUs(r) {
			http.Error(w, "the Host header names another server: use an address of this one", http.StatusMisdirectedRequest)
			return
		}
		// Probes always get through: who asks them kills the process if they fail.
		if r.URL.Path != "/livez" && r.URL.Path != "/readyz" {
			select {
			case s.slots <- struct{}{}:
				defer func() { <-s.slots }()
			default:
				w.Header().Set("Retry-After", "1")
				http.Error(w, "too many requests at a time", http.StatusServiceUnavailable)
				return
			}
		}
		if !strings.HasPrefix(r.URL.Path, profilePath) {
			http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTimeout))
		}
		next.ServeHTTP(w, r)
	})
}

// meansUs says whether the request was made to a name or address of ours, and not by a
// page of another site.
func (s *Server) meansUs(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		return false
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Unmap().IsLoopback() {
			return true
		}
		local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
		return ok && local.AddrPort().Addr().Unmap() == addr.Unmap().WithZone("")
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || s.host != "" && host == strings.ToLower(s.host) {
		return true
	}
	own, err := os.Hostname()
	own = strings.ToLower(own)
	return err == nil && own != "" && own != "localhost" && (host == own || strings.HasPrefix(host, own+"."))
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	b := s.broker.Load()
	if b == nil || !(*b).Ready() {
		http.Error(w, "not serving clients", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	var out exposition.Writer
	out.Gauge("barnabas_info", "The program's version.")
	out.Int(1, "version", s.version)
	b := s.broker.Load()
	out.Gauge("barnabas_broker_ready", "1 while clients are served.")
	out.Bool(b != nil && (*b).Ready())
	if b != nil {
		partitions := r.URL.Query().Get("partitions")
		(*b).WriteMetrics(&out, partitions != "" && partitions != "false" && partitions != "0")
	}
	out.Runtime(s.started)
	w.Header().Set("Content-Type", exposition.ContentType)
	w.Write(out.Bytes())
}
