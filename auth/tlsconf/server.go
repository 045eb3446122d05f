package tlsconf

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Server is the TLS settings of one listener. New connections get what its files held when
// they were last read well; connections that are there keep what they have.
type Server struct {
	current atomic.Pointer[material]

	mu      sync.Mutex // serializes Reload and Alter; never held by a handshake
	options Options
	seen    [sha256.Size]byte // digest of the files last looked at, good or bad
}

// NewServer reads the stores. It fails on whatever is wrong with them or the options.
func NewServer(options Options) (*Server, error) {
	// The digest comes first: what changes behind it is another content for Reload.
	s := &Server{options: options, seen: options.digest()}
	m, err := options.load()
	if err != nil {
		return nil, err
	}
	s.current.Store(m)
	return s, nil
}

// Config returns settings for tls.Server that follow every reload.
func (s *Server) Config() *tls.Config {
	return &tls.Config{
		GetConfigForClient:     func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.current.Load().config, nil },
		SessionTicketsDisabled: true,
		MinVersion:             tls.VersionTLS12, // never used: every client gets a config of its own
	}
}

// Warnings say what is usable and doubtful, for the log at start.
func (s *Server) Warnings() []string { return s.current.Load().warnings }

// Reload reads the files again if their content has changed. If it is not good the old
// settings stay, and the error comes once for each change.
func (s *Server) Reload() (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	digest := s.options.digest()
	if digest == s.seen {
		return false, nil
	}
	s.seen = digest
	return s.replaceLocked(s.options)
}

// Alter takes other options, as AlterConfigs brings them. If they are not good the old
// settings stay.
func (s *Server) Alter(options Options) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	digest := options.digest() // before the reading, as in NewServer
	if _, err := s.replaceLocked(options); err != nil {
		return err
	}
	s.options, s.seen = options, digest
	return nil
}

// Check says what Alter would say, and changes nothing.
func (s *Server) Check(options Options) error {
	next, err := options.load()
	if err != nil {
		return err
	}
	return options.mayReplace(s.current.Load(), next)
}

func (s *Server) replaceLocked(options Options) (changed bool, err error) {
	next, err := options.load()
	if err != nil {
		return false, err
	}
	if err := options.mayReplace(s.current.Load(), next); err != nil {
		return false, err
	}
	s.current.Store(next)
	return true, nil
}

// Watch reloads when files change, until ctx is done. It looks every interval, and takes a
// change once two looks in a row agree: a file is not read half written.
func (s *Server) Watch(ctx context.Context, interval time.Duration, logger *slog.Logger) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	last := s.digest()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		digest := s.digest()
		settled := digest == last
		last = digest
		if !settled {
			continue
		}
		switch changed, err := s.Reload(); {
		case err != nil:
			logger.Error("TLS files changed and are not good; the old ones stay in use", "err", err)
		case changed:
			logger.Info("TLS files reloaded", "expires", s.NextExpiry())
		}
	}
}

func (s *Server) digest() [sha256.Size]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.options.digest()
}

// digest is that of the files. One that cannot be read counts as another content.
func (o *Options) digest() [sha256.Size]byte {
	h := sha256.New()
	for _, path := range []string{o.KeystoreLocation, o.TruststoreLocation} {
		if path == "" {
			continue
		}
		data, err := o.read(path)
		fmt.Fprintf(h, "%d %t\n", len(data), err == nil)
		h.Write(data)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// mayReplace keeps a reload from turning a listener into another one, as Kafka does.
func (o *Options) mayReplace(before, after *material) error {
	if (before.trusted == nil) != (after.trusted == nil) {
		return errors.New("a trust store may neither appear nor vanish")
	}
	for _, old := range before.keys {
		i := slices.IndexFunc(after.keys, func(k KeyEntry) bool { return k.Alias == old.Alias })
		if i < 0 {
			if len(before.keys) != 1 || len(after.keys) != 1 {
				return fmt.Errorf("key %q is gone", old.Alias)
			}
			i = 0
		}
		was, is := old.Chain[0], after.keys[i].Chain[0]
		if !o.AllowDNChanges && !bytes.Equal(was.RawSubject, is.RawSubject) {
			return fmt.Errorf("the subject of key %q changed from %v to %v and ssl.allow.dn.changes is not set", old.Alias, was.Subject, is.Subject)
		}
		if !o.AllowSANChanges && !slices.Equal(sans(was), sans(is)) {
			return fmt.Errorf("the names of key %q changed from %v to %v and ssl.allow.san.changes is not set", old.Alias, sans(was), sans(is))
		}
	}
	return nil
}

// sans are the subject alternative names, sorted.
func sans(c *x509.Certificate) []string {
	var out []string
	for _, n := range c.DNSNames {
		out = append(out, "DNS:"+n)
	}
	for _, a := range c.IPAddresses {
		out = append(out, "IP:"+a.String())
	}
	for _, e := range c.EmailAddresses {
		out = append(out, "email:"+e)
	}
	for _, u := range c.URIs {
		out = append(out, "URI:"+u.String())
	}
	slices.Sort(out)
	return out
}

// Expiry is when a certificate runs out.
type Expiry struct {
	Role     string // key, chain or trusted
	Alias    string
	Subject  string
	NotAfter time.Time
}

// Expiries lists all certificates in use, the first to run out first.
func (s *Server) Expiries() []Expiry {
	m := s.current.Load()
	var out []Expiry
	add := func(role, alias string, c *x509.Certificate) {
		subject, err := FormatDN(c.RawSubject)
		if err != nil {
			subject = c.Subject.String()
		}
		out = append(out, Expiry{role, alias, subject, c.NotAfter})
	}
	for _, k := range m.keys {
		for i, c := range k.Chain {
			add([]string{"key", "chain"}[min(i, 1)], k.Alias, c)
		}
	}
	for _, t := range m.trusted {
		add("trusted", t.Alias, t.Certificate)
	}
	slices.SortStableFunc(out, func(a, b Expiry) int { return a.NotAfter.Compare(b.NotAfter) })
	return out
}

// NextExpiry is when the first certificate that is presented to clients runs out.
func (s *Server) NextExpiry() time.Time {
	for _, e := range s.Expiries() {
		if e.Role != "trusted" {
			return e.NotAfter
		}
	}
	return time.Time{}
}

// ServerEndPoint returns the tls-server-end-point channel binding (RFC 5929) of a
// connection that presented the certificate: its hash by the algorithm of its signature,
// or by SHA-256 where that is MD5 or SHA-1.
func ServerEndPoint(c *x509.Certificate) []byte {
	var h hash.Hash
	switch c.SignatureAlgorithm {
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		h = sha512.New384()
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		h = sha512.New()
	case x509.PureEd25519:
		return nil // RFC 5929 leaves it open
	default:
		h = sha256.New()
	}
	h.Write(c.Raw)
	return h.Sum(nil)
}
