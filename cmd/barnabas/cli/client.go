package cli

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/cmd/barnabas/clientconf"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// client is how to connect, by the command line, the file it names, and the environment.
func (e *env) client() (*clientconf.Client, error) {
	if e.conf != nil {
		return e.conf, nil
	}
	var more []config.Property
	pairs, err := keyValues(e.properties)
	if err != nil {
		return nil, err
	}
	for _, kv := range pairs {
		if !clientconf.Known(kv[0]) {
			return nil, badUsage("-X knows no property %s of a client", kv[0])
		}
		more = append(more, config.Property{Name: kv[0], Value: kv[1]})
	}
	c, err := clientconf.Load(e.commandConfig, more, clientconf.Options{Getenv: e.getenv})
	if err != nil {
		return nil, &failure{what: "cannot use the client's properties", why: err.Error()}
	}
	if e.bootstrap == "" {
		e.bootstrap = cmp.Or(c.BootstrapServers, defaultBootstrap)
	}
	for _, w := range c.Warnings {
		fmt.Fprintln(e.stderr, "barnabas: warning:", w)
	}
	e.conf = c
	return c, nil
}

// connect makes a client. It connects when it first asks something, not before.
func (e *env) connect(opts ...kgo.Opt) (*kgo.Client, error) {
	c, err := e.client()
	if err != nil {
		return nil, err
	}
	timeout := e.timeout
	opts = append(c.Kgo(), opts...)
	opts = append([]kgo.Opt{
		kgo.SeedBrokers(splitList(e.bootstrap)...),
		kgo.ClientID("barnabas"),
		kgo.DisableClientMetrics(),
		kgo.DialTimeout(timeout),
		kgo.RetryTimeout(timeout),
		kgo.RequestTimeoutOverhead(min(max(timeout, 100*time.Millisecond), 15*time.Minute)), // all that the library takes
		kgo.RequestRetries(4),
		// A person waits: the library's first pause of 250 ms is longer than most calls take.
		kgo.RetryBackoffFn(func(n int) time.Duration { return min(time.Duration(n)*25*time.Millisecond, 250*time.Millisecond) }),
		kgo.MetadataMinAge(10 * time.Millisecond),
	}, opts...)
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, &failure{what: "cannot use these settings", why: err.Error()}
	}
	return cl, nil
}

// asking runs fn with an administrative client, within the timeout.
func (e *env) asking(fn func(ctx context.Context, c *admin) error) error {
	cl, err := e.connect()
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(e.ctx, e.timeout)
	defer cancel()
	a := &admin{Client: kadm.NewClient(cl), raw: cl, timeoutMs: int32(min(e.timeout.Milliseconds(), 1<<31-1))}
	a.SetTimeoutMillis(a.timeoutMs)
	return fn(ctx, a)
}

// admin is the administrative client, with the plain one for what it does not cover.
type admin struct {
	*kadm.Client
	raw       *kgo.Client
	timeoutMs int32
}

// topics returns what the cluster says of the named topics, or of all. A named
// topic that is unknown is an error.
func (a *admin) topics(ctx context.Context, names ...string) (kadm.Metadata, error) {
	m, err := a.Metadata(ctx, names...)
	if err != nil {
		return m, failed(err, "cannot list topics")
	}
	for _, name := range names {
		if t := m.Topics[name]; t.Err != nil {
			return m, failed(t.Err, "cannot read topic %s", name)
		}
	}
	return m, nil
}

// request sends one request of kmsg's and casts its answer.
func request[T kmsg.Response](ctx context.Context, a *admin, req kmsg.Request) (T, error) {
	resp, err := a.raw.Request(ctx, req)
	if err != nil {
		var none T
		return none, err
	}
	return resp.(T), nil
}
