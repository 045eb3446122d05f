package broker

import (
	"container/list"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/protocol/compress"
)

const (
	// maxClientInstances bounds the cache of clients; the least recently seen goes first.
	maxClientInstances = 16384
	// defaultPushInterval holds for clients that no subscription matches.
	defaultPushInterval = 5 * time.Minute
	// minInstanceLife is how long a client is at least remembered after its last request.
	minInstanceLife = time.Minute
	// allMetrics as a subscribed metric means every metric that a client has.
	allMetrics = "*"
)

// telemetry is what clients push of themselves (KIP-714): who they are, what the
// CLIENT_METRICS resources ask of them, and whether they keep to it. Without a receiver
// the two APIs are not advertised, as on an Apache broker without one, but are served.
//
// A client instance is forgotten when its connection closes, when it has been silent for
// three push intervals, or when too many others have come since.
type telemetry struct {
	// Constant after newTelemetry.
	maxBytes int
	receiver telemetryReceiver // nil: off
	now      func() time.Time
	logger   *slog.Logger

	mu            sync.Mutex
	subscriptions map[string]config.ClientSubscription
	version       int // of subscriptions
	instances     map[protocol.UUID]*list.Element
	recent        list.List // of *clientInstance, the last seen in front
	byConn        map[uint64]*telemetryConn

	// receiving lets one payload at a time be decompressed, which bounds the memory.
	receiving sync.Mutex
	plain     []byte
}

// clientInstance is one client as the broker knows it. Guarded by telemetry.mu.
type clientInstance struct {
	id             protocol.UUID
	attributes     clientAttributes
	subscriptionID int32
	version        int // of the subscriptions that it was matched with
	metrics        []string
	interval       time.Duration
	lastSeen       time.Time
	lastGet        time.Time
	lastPush       time.Time
	terminating    bool
	lastError      protocol.ErrorCode
}

// telemetryConn is what a connection has brought. Guarded by telemetry.mu.
type telemetryConn struct {
	instance protocol.UUID // the last
	pushes   int           // since that time
	since    time.Time
}

// maxConnPushes bounds what is taken from one connection in a push interval, of whatever
// client instances: ids are the clients' to choose. One client needs two or three.
const maxConnPushes = 16

// takesPush says whether the connection may push once more.
func (c *telemetryConn) takesPush(now time.Time, interval time.Duration) bool {
	if now.Sub(c.since) >= interval {
		c.pushes, c.since = 0, now
	}
	c.pushes++
	return c.pushes <= maxConnPushes
}

// clientAttributes are what the match of a subscription can select by.
type clientAttributes struct {
	connection      uint64
	clientID        string
	softwareName    string
	softwareVersion string
	address         string
	port            string
}

func newTelemetry(c config.Telemetry, logger *slog.Logger) (*telemetry, error) {
	t := &telemetry{
		maxBytes: int(c.MaxBytes), now: time.Now, logger: logger,
		subscriptions: map[string]config.ClientSubscription{},
		instances:     map[protocol.UUID]*list.Element{}, byConn: map[uint64]*telemetryConn{},
	}
	var err error
	t.receiver, err = openTelemetryReceiver(c.Receiver, logger)
	return t, err
}

func (t *telemetry) enabled() bool { return t.receiver != nil }

func (t *telemetry) close() {
	if t.receiver != nil {
		t.receiver.close()
	}
}

// apply follows the CLIENT_METRICS resources.
func (t *telemetry) apply(d *metadata.Delta, image *metadata.Image) {
	for _, r := range d.Configs {
		if r.Type != metadata.ClientMetricsResource {
			continue
		}
		own := image.Config(r.Type, r.Name)
		s, err := config.ParseClientSubscription(own)
		if err != nil {
			t.logger.Warn("a client metrics subscription cannot be read", "subscription", r.Name, "err", err)
			own = nil
		}
		t.mu.Lock()
		_, had := t.subscriptions[r.Name]
		if len(own) > 0 {
			t.subscriptions[r.Name] = s
		} else {
			delete(t.subscriptions, r.Name)
		}
		if had || len(own) > 0 {
			t.version++
		}
		t.mu.Unlock()
	}
}

// forget drops the client instance that a closed connection brought. It comes after the
// connection's last request.
func (t *telemetry) forget(connection uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c, ok := t.byConn[connection]; ok {
		delete(t.byConn, connection)
		t.dropLocked(c.instance)
	}
}

func (t *telemetry) dropLocked(id protocol.UUID) {
	if e := t.instances[id]; e != nil {
		t.recent.Remove(e)
		delete(t.instances, id)
	}
}

// telemetrySubscription is the answer to GetTelemetrySubscriptions.
type telemetrySubscription struct {
	clientInstanceID protocol.UUID
	id               int32
	metrics          []string
	interval         time.Duration
}

// get answers GetTelemetrySubscriptions. A zero id is given a new one. A client that asks
// again before its interval is over is refused, unless its last push was refused for a
// reason that makes clients ask at once.
func (t *telemetry) get(id protocol.UUID, a clientAttributes) (telemetrySubscription, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	asked := id
	for id.IsZero() || asked.IsZero() && t.instances[id] != nil {
		id = protocol.NewUUID()
	}
	c, now := t.instanceLocked(id, a), t.now()
	last := c.lastGet
	if c.lastPush.After(last) {
		last = c.lastPush
	}
	if now.Sub(last) >= c.interval {
		c.lastGet = now
	} else if c.lastError != protocol.ErrUnknownSubscriptionID && c.lastError != protocol.ErrUnsupportedCompressionType {
		return telemetrySubscription{}, protocol.Errorf(protocol.ErrThrottlingQuotaExceeded,
			"Request from the client [%s] arrived before the next push interval time", asked)
	}
	c.lastError = protocol.None
	return telemetrySubscription{clientInstanceID: id, id: c.subscriptionID, metrics: c.metrics, interval: c.interval}, nil
}

// telemetryPush is a PushTelemetry request.
type telemetryPush struct {
	clientInstanceID protocol.UUID
	subscriptionID   int32
	terminating      bool
	codec            int8
	metrics          []byte
}

// push answers PushTelemetry and hands the metrics, decompressed, to the receiver.
func (t *telemetry) push(p telemetryPush, a clientAttributes) error {
	if p.clientInstanceID.IsZero() || p.clientInstanceID == (protocol.UUID{15: 1}) {
		return protocol.Errorf(protocol.ErrInvalidRequest, "Invalid request from the client [%s], invalid client instance id", p.clientInstanceID)
	}
	if err := t.accept(p, a); err != nil || len(p.metrics) == 0 {
		return err
	}
	if err := t.receive(p, a); err != nil {
		t.logger.Warn("cannot take a client's metrics", "clientInstanceId", p.clientInstanceID.String(), "clientId", a.clientID, "err", err)
		code := protocol.ErrInvalidRecord
		if errors.Is(err, compress.ErrTooLarge) {
			code = protocol.ErrTelemetryTooLarge
		}
		t.mu.Lock()
		if e := t.instances[p.clientInstanceID]; e != nil {
			e.Value.(*clientInstance).lastError = code
		}
		t.mu.Unlock()
		return code
	}
	return nil
}

// accept judges a push by what is known of its client.
func (t *telemetry) accept(p telemetryPush, a clientAttributes) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.instanceLocked(p.clientInstanceID, a)
	err := c.judge(p, t.now(), t.maxBytes)
	if err == nil && !t.connLocked(a.connection).takesPush(t.now(), c.interval) {
		err = protocol.Errorf(protocol.ErrThrottlingQuotaExceeded, "More than %d pushes of one connection within the push interval", maxConnPushes)
	}
	c.terminating = p.terminating
	c.lastError = codeOf(err)
	return err
}

func (c *clientInstance) judge(p telemetryPush, now time.Time, maxBytes int) error {
	if c.terminating {
		return protocol.Errorf(protocol.ErrInvalidRequest,
			"Client [%s] sent the previous request with state terminating to TRUE, can not acceptany requests after that", c.id)
	}
	// The first push after a get may come early: clients spread it over the interval.
	if c.lastGet.After(c.lastPush) || now.Sub(c.lastPush) >= c.interval {
		c.lastPush = now
	} else if !p.terminating {
		return protocol.Errorf(protocol.ErrThrottlingQuotaExceeded,
			"Request from the client [%s] arrived before the next push interval time", c.id)
	}
	if p.subscriptionID != c.subscriptionID {
		return protocol.Errorf(protocol.ErrUnknownSubscriptionID, "Unknown client subscription id for the client [%s]", c.id)
	}
	if p.codec < compress.None || p.codec > compress.Zstd {
		return protocol.Errorf(protocol.ErrUnsupportedCompressionType,
			"Unknown compression type [%d] is received in telemetry request from [%s]", p.codec, c.id)
	}
	if len(p.metrics) > maxBytes {
		return protocol.Errorf(protocol.ErrTelemetryTooLarge,
			"Telemetry request from [%s] is larger than the maximum allowed size [%d]", c.id, maxBytes)
	}
	return nil
}

// receive decompresses and hands on. What comes out may be as large as telemetry.max.bytes
// too: Apache sets no limit there, and a few bytes can ask for gigabytes.
func (t *telemetry) receive(p telemetryPush, a clientAttributes) error {
	if t.receiver == nil {
		return nil
	}
	t.receiving.Lock()
	defer t.receiving.Unlock()
	metrics := p.metrics
	if p.codec != compress.None {
		var err error
		if t.plain, err = compress.AppendDecompress(t.plain[:0], p.codec, p.metrics, t.maxBytes); err != nil {
			return err
		}
		metrics = t.plain
		if cap(t.plain) > 64<<10 {
			t.plain = nil
		}
	}
	return t.receiver.receive(p.clientInstanceID, a, p.terminating, metrics)
}

func (t *telemetry) connLocked(id uint64) *telemetryConn {
	c := t.byConn[id]
	if c == nil {
		c = new(telemetryConn)
		t.byConn[id] = c
	}
	return c
}

// instanceLocked returns what is known of a client, which is made new if it is not known,
// and matched again if the subscriptions have changed.
func (t *telemetry) instanceLocked(id protocol.UUID, a clientAttributes) *clientInstance {
	now := t.now()
	e := t.instances[id]
	if e != nil {
		c := e.Value.(*clientInstance)
		if now.Sub(c.lastSeen) < max(minInstanceLife, 3*c.interval) {
			if c.version < t.version {
				c = t.newInstanceLocked(id, c.attributes)
				e.Value = c
				t.connLocked(a.connection).instance = id
			}
			c.lastSeen = now
			t.recent.MoveToFront(e)
			return c
		}
		t.dropLocked(id)
	}
	c := t.newInstanceLocked(id, a)
	c.lastSeen = now
	t.instances[id] = t.recent.PushFront(c)
	t.connLocked(a.connection).instance = id
	if len(t.instances) > maxClientInstances {
		t.dropLocked(t.recent.Back().Value.(*clientInstance).id)
	}
	return c
}

// newInstanceLocked matches a client with the subscriptions: it gets the metrics of all
// that match, and the shortest of their intervals.
func (t *telemetry) newInstanceLocked(id protocol.UUID, a clientAttributes) *clientInstance {
	c := &clientInstance{id: id, attributes: a, version: t.version, interval: defaultPushInterval}
	names := make([]string, 0, len(t.subscriptions))
	for name := range t.subscriptions {
		names = append(names, name)
	}
	sort.Strings(names)
	var metrics []string
	all := false
	for _, name := range names {
		s := t.subscriptions[name]
		if !a.matches(id, s.Match) {
			continue
		}
		for _, m := range s.Metrics {
			all = all || m == allMetrics
			metrics = append(metrics, m)
		}
		c.interval = min(c.interval, time.Duration(s.IntervalMs)*time.Millisecond)
	}
	if all {
		metrics = []string{allMetrics}
	}
	c.metrics = javaSetOrder(metrics)
	c.subscriptionID = subscriptionID(c.metrics, c.interval, id)
	return c
}

func (a *clientAttributes) matches(id protocol.UUID, match map[string]*regexp.Regexp) bool {
	for selector, pattern := range match {
		if value, ok := a.value(id, selector); !ok || !pattern.MatchString(value) {
			return false
		}
	}
	return true
}

func (a *clientAttributes) value(id protocol.UUID, selector string) (string, bool) {
	switch selector {
	case "client_instance_id":
		return id.String(), true
	case "client_id":
		return a.clientID, true
	case "client_software_name":
		return a.softwareName, true
	case "client_software_version":
		return a.softwareVersion, true
	case "client_source_address":
		return a.address, true
	case "client_source_port":
		return a.port, true
	}
	return "", false
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// subscriptionID is Apache's: the CRC-32C of the metrics, as Java prints a set, and the
// interval, mixed with the client instance id as Java hashes it. A client that moves
// between brokers of both kinds keeps its subscription.
func subscriptionID(metrics []string, interval time.Duration, id protocol.UUID) int32 {
	text := "[" + strings.Join(metrics, ", ") + "]" + strconv.FormatInt(interval.Milliseconds(), 10)
	crc := crc32.Checksum([]byte(text), castagnoli)
	folded := binary.BigEndian.Uint64(id[:8]) ^ binary.BigEndian.Uint64(id[8:])
	return int32(crc ^ uint32(folded>>32) ^ uint32(folded))
}

// javaSetOrder returns the distinct elements in the order in which a Java HashSet that
// they were added to is walked: the subscription id depends on it.
func javaSetOrder(list []string) []string {
	seen := make(map[string]bool, len(list))
	distinct := []string{}
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			distinct = append(distinct, s)
		}
	}
	buckets := uint32(16)
	for len(distinct) > int(buckets)*3/4 {
		buckets *= 2
	}
	sort.SliceStable(distinct, func(i, j int) bool {
		return javaBucket(distinct[i], buckets) < javaBucket(distinct[j], buckets)
	})
	return distinct
}

func javaBucket(s string, buckets uint32) uint32 {
	var h uint32
	for _, r := range s {
		if r >= 0x10000 { // two UTF-16 units
			r -= 0x10000
			h = 31*h + 0xd800 + uint32(r>>10)
			r = 0xdc00 + r&0x3ff
		}
		h = 31*h + uint32(r)
	}
	return (h ^ h>>16) & (buckets - 1)
}

// telemetryReceiver is where pushed metrics go. One call at a time; metrics is an OTLP
// MetricsData message, which is not kept.
type telemetryReceiver interface {
	receive(id protocol.UUID, a clientAttributes, terminating bool, metrics []byte) error
	close()
}

// openTelemetryReceiver reads barnabas.telemetry.receiver.
func openTelemetryReceiver(value string, logger *slog.Logger) (telemetryReceiver, error) {
	switch value {
	case "", "off":
		return nil, nil
	case "log":
		return telemetryLog{logger}, nil
	}
	r, err := openTelemetryFile(value)
	if err != nil {
		return nil, fmt.Errorf("barnabas.telemetry.receiver: %w", err)
	}
	return r, nil
}
