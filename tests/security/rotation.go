package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/barnabas-broker/barnabas/tests/bench/replay"
)

// rotation changes certificates, passwords and ACLs under load, and counts what should not
// have happened: a connection that ended, a request that was served or refused against what
// held from before it was sent until after it was answered.
type rotation struct {
	w    *world
	stop chan struct{}
	wg   sync.WaitGroup

	// phase is even while what it stands for holds, and odd while that changes. Of a request
	// during which it moved nothing is demanded.
	phase   atomic.Int64
	allowed atomic.Bool

	lost, served, refused, wronglyServed, wronglyRefused atomic.Int64
	acknowledged, consumed                               atomic.Int64 // by real clients
	failures                                             []string
	mu                                                   sync.Mutex
}

func (r *rotation) fail(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.failures) < 20 {
		r.failures = append(r.failures, fmt.Sprintf(format, args...))
	}
}

// rotate runs it all on a broker that is open.
func rotate(w *world, principals []*principal, acls int, out io.Writer) error {
	r := &rotation{w: w, stop: make(chan struct{})}
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	who := map[string]*principal{}
	for _, p := range principals {
		who[p.name] = p
	}
	r.allowed.Store(true)
	// Raw connections, which nothing opens again: one of each kind of principal twice.
	table, _ := rows()
	kinds := 0
	for _, row := range table {
		switch row.who.name {
		case "plain-user", "scram-256", "scram-512", "krb-user", "oauth-user", "mtls-jks", "mtls-pkcs12", "mtls-pem":
		default:
			continue
		}
		kinds++
		topic := row.who.name + "-rotation"
		if err := w.createTopic(ctx, topic); err != nil {
			return err
		}
		for range 2 {
			c, err := w.login(row)
			if err != nil {
				return fmt.Errorf("%s: %w", row.name, err)
			}
			c.SetDeadline(time.Time{})
			r.wg.Add(1)
			go r.writer(c, row.name, topic)
		}
	}
	defer r.wg.Wait()
	stopped := sync.OnceFunc(func() { close(r.stop) })
	defer stopped()
	if err := r.realClients(ctx, who["scram-512"], "scram-512-rotation"); err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		run  func() error
	}{
		{"certificates", func() error { return r.certificates(ctx) }},
		{"passwords", func() error { return r.passwords(ctx, who["scram-512"]) }},
		{"ACLs", func() error { return r.acls(ctx, acls) }},
	} {
		start := time.Now()
		if err := step.run(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		fmt.Fprintf(os.Stderr, "%s: %.0f s\n", step.name, time.Since(start).Seconds())
	}
	stopped()
	r.wg.Wait()
	fmt.Fprintf(out, "Certificates of three kinds of stores, a bad file and another authority; a SCRAM password 20 times; ACLs of all principals %d times, under load.\n", 4*acls)
	fmt.Fprintf(out, "%d connections of %d kinds and 2 real clients; %d requests served, %d refused; real clients wrote %d records and read %d\n\n",
		2*kinds, kinds, r.served.Load(), r.refused.Load(), r.acknowledged.Load(), r.consumed.Load())
	for _, line := range []struct {
		what string
		n    int64
	}{
		{"connections lost that had to live", r.lost.Load()},
		{"requests served that had to be refused", r.wronglyServed.Load()},
		{"requests refused that had to be served", r.wronglyRefused.Load()},
	} {
		fmt.Fprintf(out, "%-42s %6d, target 0\n", line.what, line.n)
	}
	for _, f := range r.failures {
		fmt.Fprintln(out, "FAIL", f)
	}
	if len(r.failures) > 0 || r.lost.Load()+r.wronglyServed.Load()+r.wronglyRefused.Load() > 0 {
		return errors.New("rotation: failed")
	}
	return nil
}

// writer produces on one connection until the end, and judges every answer.
func (r *rotation) writer(c *wire, name, topic string) {
	defer r.wg.Done()
	defer c.Close()
	request := kmsg.NewPtrProduceRequest()
	request.Version, request.Acks, request.TimeoutMillis = 9, 1, 10_000
	request.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{{Records: replay.Batch(1, 100)}}}}
	for {
		select {
		case <-r.stop:
			return
		default:
		}
		before, allowed := r.phase.Load(), r.allowed.Load()
		answer, err := c.Ask(request, time.Minute)
		if err != nil {
			r.lost.Add(1)
			r.fail("%s: the connection ended: %v", name, err)
			return
		}
		code := answer.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode
		settled := before%2 == 0 && r.phase.Load() == before
		switch {
		case code == 0:
			r.served.Add(1)
			if settled && !allowed {
				r.wronglyServed.Add(1)
				r.fail("%s: served without an ACL", name)
			}
		case code == 29:
			r.refused.Add(1)
			if settled && allowed {
				r.wronglyRefused.Add(1)
				r.fail("%s: refused with an ACL", name)
			}
		default:
			r.fail("%s: error %d", name, code)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// realClients write and read with franz-go over TLS, as a service would.
func (r *rotation) realClients(ctx context.Context, p *principal, topic string) error {
	options := []kgo.Opt{kgo.SeedBrokers(r.w.addr[listenerCrypt]), kgo.DialTLSConfig(r.w.clientTLS),
		kgo.SASL(scram.Auth{User: p.name, Pass: p.password}.AsSha512Mechanism()), kgo.DisableIdempotentWrite(), kgo.DefaultProduceTopic(topic)}
	producer, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	consumer, err := kgo.NewClient(append(options, kgo.ConsumeTopics(topic), kgo.ConsumerGroup(p.name+"-rotation"))...)
	if err != nil {
		return err
	}
	if err := producer.ProduceSync(ctx, kgo.StringRecord("first")).FirstErr(); err != nil {
		return err
	}
	r.wg.Add(2)
	go func() {
		defer r.wg.Done()
		defer producer.Close()
		for {
			select {
			case <-r.stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
			before, allowed := r.phase.Load(), r.allowed.Load()
			c, cancel := context.WithTimeout(ctx, 20*time.Second)
			err := producer.ProduceSync(c, kgo.StringRecord("again")).FirstErr()
			cancel()
			if err == nil {
				r.acknowledged.Add(1)
			} else if allowed && before%2 == 0 && r.phase.Load() == before {
				r.fail("franz-go: %v", err)
			}
		}
	}()
	go func() {
		defer r.wg.Done()
		defer consumer.Close()
		for {
			select {
			case <-r.stop:
				return
			default:
			}
			c, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
			fetches := consumer.PollFetches(c)
			cancel()
			r.consumed.Add(int64(fetches.NumRecords()))
		}
	}()
	return nil
}

// newcomer logs in by a certificate and returns the broker's own.
func (r *rotation) newcomer(listener, client string) (serial string, err error) {
	pair, err := tls.LoadX509KeyPair(r.w.keys.path(client+".crt"), r.w.keys.path(client+".key"))
	if err != nil {
		return "", err
	}
	c, err := r.w.dial(listener, &pair)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.served(); err != nil {
		return "", err
	}
	return c.Conn.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String(), nil
}

// until tries until it holds, for a minute. The broker looks at its files every ten seconds.
func until(what string, holds func() (bool, error)) error {
	var last error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		ok, err := holds()
		if ok {
			return nil
		}
		last = err
	}
	return fmt.Errorf("%s: not within a minute (%v)", what, last)
}

// certificates replaces the broker's certificate in all three kinds of stores, then puts a
// bad file there, then another authority.
func (r *rotation) certificates(ctx context.Context) error {
	k := r.w.keys
	old := map[string]string{}
	for _, t := range storeTypes {
		serial, err := r.newcomer(t, principalOf(t))
		if err != nil {
			return err
		}
		old[t] = serial
	}
	if err := errors.Join(k.issue("ca", "next", "broker", "rsa", 30), k.pkcs12("next", "next.p12"), k.jks("next", "next.jks")); err != nil {
		return err
	}
	for _, t := range storeTypes {
		data, err := os.ReadFile(k.path(storeFile("next", t)))
		if err != nil {
			return err
		}
		if err := replaceFile(k.path(storeFile("broker", t)), data); err != nil {
			return err
		}
	}
	for _, t := range storeTypes {
		if err := until("the new certificate, "+t, func() (bool, error) {
			serial, err := r.newcomer(t, principalOf(t))
			if err != nil {
				r.fail("%s: a newcomer was refused while the certificate changed: %v", t, err)
			}
			return err == nil && serial != old[t], err
		}); err != nil {
			return err
		}
		old[t], _ = r.newcomer(t, principalOf(t))
	}
	// A bad file: the last good certificate stays.
	for _, t := range storeTypes {
		if err := os.WriteFile(k.path(storeFile("broker", t)), []byte("this is no key store"), 0o600); err != nil {
			return err
		}
	}
	for end := time.Now().Add(25 * time.Second); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		for _, t := range storeTypes {
			if serial, err := r.newcomer(t, principalOf(t)); err != nil || serial != old[t] {
				r.fail("%s: with a bad file a newcomer got %v, %s instead of %s", t, err, serial, old[t])
			}
		}
	}
	for _, t := range storeTypes {
		data, err := os.ReadFile(k.path(storeFile("next", t)))
		if err != nil {
			return err
		}
		if err := replaceFile(k.path(storeFile("broker", t)), data); err != nil {
			return err
		}
	}
	// Another authority: its clients get in, and no new ones of the old.
	if err := errors.Join(k.authority("ca2"), k.issue("ca2", "client2", "mtls-pem", "ec", 30), k.join("trust.pem", "ca2.pem")); err != nil {
		return err
	}
	if err := until("the new authority", func() (bool, error) {
		_, err := r.newcomer("PEM", "client2")
		return err == nil, err
	}); err != nil {
		return err
	}
	if _, err := r.newcomer("PEM", "mtls-pem"); err == nil {
		r.fail("PEM: a newcomer of the old authority was let in")
	}
	return nil
}

func principalOf(storeType string) string {
	return map[string]string{"JKS": "mtls-jks", "PKCS12": "mtls-pkcs12", "PEM": "mtls-pem"}[storeType]
}

// passwords changes a SCRAM password again and again: from the answer on the new one is good
// and no other, and who is in stays in.
func (r *rotation) passwords(ctx context.Context, p *principal) error {
	adm := kadm.NewClient(r.w.admin)
	login := func(password string) error {
		c, err := r.w.dial(listenerCrypt, nil)
		if err != nil {
			return err
		}
		defer c.Close()
		return c.scram(&scramTry{mechanism: "SCRAM-SHA-512", user: p.name, password: password})
	}
	last := p.password
	for i := range 20 {
		next := fmt.Sprintf("password %d", i)
		results, err := adm.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{{User: p.name, Mechanism: kadm.ScramSha512, Iterations: 4096, Password: next}})
		if err != nil || results[p.name].Err != nil {
			return errors.Join(err, results[p.name].Err)
		}
		if got := outcome(login(last)); got != badCredentials("SCRAM-SHA-512") {
			r.wronglyServed.Add(1)
			r.fail("the password before the last one: %s", got)
		}
		if err := login(next); err != nil {
			r.wronglyRefused.Add(1)
			r.fail("the new password: %v", err)
		}
		last = next
	}
	// The real clients may have to log in again.
	_, err := adm.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{{User: p.name, Mechanism: kadm.ScramSha512, Iterations: 4096, Password: p.password}})
	return err
}

// acls takes the right to write away and gives it back, for all principals, many times. From
// the answer on every request on every open connection must know.
func (r *rotation) acls(ctx context.Context, times int) error {
	adm, err := kgo.NewClient(kgo.SeedBrokers(r.w.addr[listenerClear]), kgo.SASL(plain.Auth{User: "admin", Pass: adminPassword}.AsMechanism()))
	if err != nil {
		return err
	}
	defer adm.Close()
	c := kadm.NewClient(adm)
	_, principals := rows()
	builder := func(name string) *kadm.ACLBuilder {
		return kadm.NewACLs().Deny("User:" + name).DenyHosts("*").Topics(name + "-").ResourcePatternType(kadm.ACLPatternPrefixed).Operations(kadm.OpWrite)
	}
	for range times {
		for _, deny := range []bool{true, false} {
			r.phase.Add(1)
			for _, p := range principals {
				if deny {
					results, err := c.CreateACLs(ctx, builder(p.name))
					if err != nil || results[0].Err != nil {
						return errors.Join(err, results[0].Err)
					}
					continue
				}
				results, err := c.DeleteACLs(ctx, builder(p.name))
				if err != nil || len(results) != 1 || len(results[0].Deleted) != 1 {
					return fmt.Errorf("delete the ACL of %s: %+v, %w", p.name, results, err)
				}
			}
			r.allowed.Store(!deny)
			r.phase.Add(1)
			time.Sleep(300 * time.Millisecond)
		}
	}
	// And by taking an ACL that allows away.
	for range times {
		for _, allow := range []bool{false, true} {
			r.phase.Add(1)
			for _, p := range principals {
				if allow {
					if err := r.w.allow(ctx, p.name); err != nil {
						return err
					}
					continue
				}
				b := kadm.NewACLs().Allow("User:" + p.name).AllowHosts("*").Topics(p.name + "-").ResourcePatternType(kadm.ACLPatternPrefixed).Operations(kadm.OpWrite)
				if results, err := c.DeleteACLs(ctx, b); err != nil || len(results) != 1 || len(results[0].Deleted) != 1 {
					return fmt.Errorf("delete the ACL of %s: %+v, %w", p.name, results, err)
				}
			}
			r.allowed.Store(allow)
			r.phase.Add(1)
			time.Sleep(300 * time.Millisecond)
		}
	}
	return nil
}
