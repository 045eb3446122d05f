package bearer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/barnabas-broker/barnabas/auth"
)

const (
	// missingAgain is how long one unknown key id does not ask for another refresh.
	missingAgain = time.Minute
	// missingPause is the least time between two refreshes that unknown key ids ask for:
	// ids are free to make up.
	missingPause = 10 * time.Second
	// missingIDs, of at most missingIDBytes, are remembered.
	missingIDs     = 16
	missingIDBytes = 1000

	fetchTimeout = 15 * time.Second
)

// SourceOptions make a KeySource.
type SourceOptions struct {
	// URL is sasl.oauthbearer.jwks.endpoint.url, of scheme https or file; http only on the
	// loopback.
	URL string
	// Refresh is ….refresh.ms, 1 hour; RetryBackoff and RetryBackoffMax are
	// ….retry.backoff.ms and ….max.ms, 100 ms to 10 s.
	Refresh, RetryBackoff, RetryBackoffMax time.Duration
	// Transport fetches; http.DefaultTransport.
	Transport http.RoundTripper
	Logger    *slog.Logger
	// Now is time.Now.
	Now func() time.Time
}

// KeySource keeps an issuer's keys. While they cannot be fetched the last ones stay.
type KeySource struct {
	o      SourceOptions
	file   string // instead of the network
	client *http.Client

	keys    atomic.Pointer[KeySet]
	fetched atomic.Int64 // when the keys last came, in Unix seconds; 0 for never

	missing chan struct{} // of capacity 1: a key id was unknown

	mu     sync.Mutex
	asked  []askedID // the latest at the end
	paused time.Time // no refresh for unknown ids before
}

type askedID struct {
	id string
	at time.Time
}

// NewKeySource makes a source that holds no keys yet.
func NewKeySource(o SourceOptions) (*KeySource, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("sasl.oauthbearer.jwks.endpoint.url: %w", err)
	}
	s := &KeySource{o: o, missing: make(chan struct{}, 1)}
	switch {
	case u.Scheme == "file" && (u.Host == "" || u.Host == "localhost") && u.Path != "":
		s.file = u.Path
	case u.Scheme == "https" && u.Host != "":
	case u.Scheme == "http" && isLoopback(u.Hostname()):
	default:
		return nil, fmt.Errorf("sasl.oauthbearer.jwks.endpoint.url: %q is neither https nor a file", u.Redacted())
	}
	setDefault(&s.o.Refresh, time.Hour)
	setDefault(&s.o.RetryBackoff, 100*time.Millisecond)
	setDefault(&s.o.RetryBackoffMax, 10*time.Second)
	if s.o.Logger == nil {
		s.o.Logger = slog.New(slog.DiscardHandler)
	}
	if s.o.Now == nil {
		s.o.Now = time.Now
	}
	s.client = &http.Client{
		Transport: o.Transport, Timeout: fetchTimeout,
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > 3 || r.URL.Host != u.Host || r.URL.Scheme != u.Scheme {
				return errors.New("redirected to another place")
			}
			return nil
		},
	}
	return s, nil
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// KeySet returns the last keys that came, nil before the first.
func (s *KeySource) KeySet() *KeySet { return s.keys.Load() }

// Fetched returns when they came, zero for never; for metrics.
func (s *KeySource) Fetched() time.Time {
	if at := s.fetched.Load(); at != 0 {
		return time.Unix(at, 0)
	}
	return time.Time{}
}

// Load fetches the keys once.
func (s *KeySource) Load(ctx context.Context) error {
	data, err := s.read(ctx)
	if err != nil {
		return fmt.Errorf("fetch the issuer's keys: %w", err)
	}
	set, err := ParseKeySet(data)
	if err != nil {
		return err
	}
	s.keys.Store(set)
	s.fetched.Store(s.o.Now().Unix())
	return nil
}

func (s *KeySource) read(ctx context.Context) ([]byte, error) {
	if s.file != "" {
		return auth.ReadFile(s.file, keySetMaxBytes)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.o.URL, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	answer, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", answer.StatusCode) // the body may say anything
	}
	return io.ReadAll(io.LimitReader(answer.Body, keySetMaxBytes+1))
}

// Run refreshes the keys until ctx is done: in regular intervals, when a token names an
// unknown key, and with growing pauses after a failure.
func (s *KeySource) Run(ctx context.Context) {
	wait, backoff := s.o.Refresh, s.o.RetryBackoff
	if s.keys.Load() == nil {
		wait = 0
	}
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-s.missing:
			timer.Stop()
		}
		if err := s.Load(ctx); err != nil {
			if ctx.Err() != nil {
				return
			}
			s.o.Logger.Warn("the issuer's keys could not be refreshed", "err", err, "retryMs", backoff.Milliseconds(), "fetched", s.Fetched())
			wait, backoff = backoff, min(2*backoff, s.o.RetryBackoffMax)
			continue
		}
		wait, backoff = s.o.Refresh, s.o.RetryBackoff
	}
}

// Missing asks for a refresh, unless the same id asked within the last minute or any did
// within the last seconds.
func (s *KeySource) Missing(keyID string) {
	if len(keyID) > missingIDBytes {
		return
	}
	now := s.o.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(s.paused) {
		return
	}
	for i, a := range s.asked {
		if a.id == keyID {
			if now.Sub(a.at) < missingAgain {
				return
			}
			s.asked = append(s.asked[:i], s.asked[i+1:]...)
			break
		}
	}
	if len(s.asked) == missingIDs {
		s.asked = append(s.asked[:0], s.asked[1:]...)
	}
	s.asked = append(s.asked, askedID{keyID, now})
	s.paused = now.Add(missingPause)
	select {
	case s.missing <- struct{}{}:
	default:
	}
}
