package controller

import (
	"slices"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

// RegisterBroker makes a broker known. version is what the image's version will be
// with the record in it; it becomes the epoch of a new
// incarnation, unless an earlier one had it already.
//
// An earlier incarnation that is still in ISRs is taken out of them first, as if it had been
// fenced: the new one may have lost what the old one had. Where it is the only one in
// sync it stays, and leads on in a new leader epoch, unless it stopped cleanly (KIP-966).
func (c *Controller) RegisterBroker(m *metadata.Image, r metadata.BrokerRegistration, version int64) ([]metadata.Record, int64, error) {
	if r.ClusterID != "" && r.ClusterID != m.ClusterID() {
		return nil, 0, protocol.Errorf(protocol.ErrInconsistentClusterID, "Expected cluster ID %s, but got cluster ID %s", m.ClusterID(), r.ClusterID)
	}
	if r.ID < 0 {
		return nil, 0, protocol.Errorf(protocol.ErrInvalidRegistration, "Invalid broker ID %d", r.ID)
	}
	old := m.Broker(r.ID)
	if old != nil && old.Incarnation != r.Incarnation && c.hasSession(old) {
		return nil, 0, protocol.Errorf(protocol.ErrDuplicateBrokerRegistration, "Another broker is registered with that broker id.")
	}
	if err := checkDirectories(m, &r); err != nil {
		return nil, 0, err
	}
	if err := checkFeatures(m, &r); err != nil {
		return nil, 0, err
	}
	if old != nil {
		version = max(version, old.Epoch+1)
	}
	broker := metadata.Broker{ID: r.ID, Epoch: version, Incarnation: r.Incarnation, Endpoints: slices.Clone(r.Endpoints), Rack: r.Rack,
		Features: slices.Clone(r.Features), LogDirs: slices.Clone(r.LogDirs), Fenced: r.Fenced}
	slices.SortFunc(broker.LogDirs, compareUUIDs)
	var records []metadata.Record
	if old != nil && old.Incarnation == r.Incarnation {
		broker.Epoch, broker.Fenced, broker.InControlledShutdown = old.Epoch, old.Fenced, old.InControlledShutdown
		return append(records, &metadata.BrokerRecord{Broker: broker}), broker.Epoch, nil
	}
	clean := old != nil && r.PreviousEpoch == old.Epoch
	records = c.replaceIncarnation(m, &broker, clean)
	records = append(records, &metadata.BrokerRecord{Broker: broker})
	if !broker.Fenced {
		records = append(records, c.electLeaderless(m, &broker)...)
	}
	c.sessions[r.ID] = &session{epoch: broker.Epoch, lastHeard: c.opts.Now(), imageVersion: -1, shutdownVersion: -1}
	return records, broker.Epoch, nil
}

func compareUUIDs(a, b protocol.UUID) int { return slices.Compare(a[:], b[:]) }

func checkDirectories(m *metadata.Image, r *metadata.BrokerRegistration) error {
	for i, dir := range r.LogDirs {
		if dir == metadata.DirectoryUnassigned || dir == metadata.DirectoryLost || dir == metadata.DirectoryMigrating {
			return protocol.Errorf(protocol.ErrInvalidRegistration, "Reserved directory ID in request")
		}
		if slices.Contains(r.LogDirs[:i], dir) {
			return protocol.Errorf(protocol.ErrInvalidRegistration, "Duplicate directory ID in request")
		}
		for _, b := range m.Brokers() {
			if b.ID != r.ID && slices.Contains(b.LogDirs, dir) {
				return protocol.Errorf(protocol.ErrInvalidRegistration, "Broker %d is already registered with directory %s", b.ID, dir)
			}
		}
	}
	return nil
}

// checkFeatures refuses a broker that cannot live with what is finalized.
func checkFeatures(m *metadata.Image, r *metadata.BrokerRegistration) error {
	for _, name := range m.Features() {
		level := m.Feature(name)
		var supported metadata.FeatureRange
		for _, f := range r.Features {
			if f.Name == name {
				supported = f
			}
		}
		if len(r.Features) > 0 && (level < supported.Min || level > supported.Max) {
			return protocol.Errorf(protocol.ErrUnsupportedVersion, "Unable to register because the broker does not support finalized version %d of %s. "+
				"The broker wants a version between %d and %d, inclusive.", level, name, supported.Min, supported.Max)
		}
	}
	return nil
}

// replaceIncarnation takes the broker's earlier incarnation out of leaderships and ISRs.
func (c *Controller) replaceIncarnation(m *metadata.Image, broker *metadata.Broker, clean bool) []metadata.Record {
	var records []metadata.Record
	stays := !broker.Fenced
	for t := range m.Topics() {
		for i, p := range t.Partitions {
			if !p.InISR(broker.ID) {
				continue
			}
			alone := len(p.ISR) == 1
			if alone && p.Leader == broker.ID && stays {
				if dir := p.Directory(broker.ID); hasOnlineDirectory(broker, dir) {
					if !clean {
						leader := broker.ID
						records = append(records, &metadata.PartitionChangeRecord{TopicID: t.ID, Partition: int32(i), Leader: &leader})
					}
					continue
				}
			}
			if p.Leader == metadata.NoLeader {
				continue // the new incarnation is the one that was waited for
			}
			if record := c.leaveISR(m, t, int32(i), broker.ID); record != nil {
				records = append(records, record)
			}
		}
	}
	return records
}

// leaveISR takes a broker out of a partition's ISR and leadership.
func (c *Controller) leaveISR(m *metadata.Image, t *metadata.Topic, number, broker int32) metadata.Record {
	b := newPartitionChange(m, t, number)
	b.isr = without(b.partition.ISR, []int32{broker})
	b.acceptable = func(id int32) bool { return id != broker && isActive(m, id) }
	if c.uncleanElection(m, t.Name) {
		b.rule = electUnclean
	}
	if record := b.build(); record != nil {
		return record
	}
	return nil
}

// leaveAll takes a broker out of every ISR and leadership.
func (c *Controller) leaveAll(m *metadata.Image, broker int32) []metadata.Record {
	var records []metadata.Record
	for t := range m.Topics() {
		for i, p := range t.Partitions {
			if !p.InISR(broker) {
				continue
			}
			if record := c.leaveISR(m, t, int32(i), broker); record != nil {
				records = append(records, record)
			}
		}
	}
	return records
}

// electLeaderless elects where there was no leader, broker having become active.
func (c *Controller) electLeaderless(m *metadata.Image, broker *metadata.Broker) []metadata.Record {
	var records []metadata.Record
	for t := range m.Topics() {
		for i, p := range t.Partitions {
			if p.Leader != metadata.NoLeader {
				continue
			}
			b := newPartitionChange(m, t, int32(i))
			b.active = broker
			if c.uncleanElection(m, t.Name) {
				b.rule = electUnclean
			}
			if record := b.build(); record != nil {
				records = append(records, record)
			}
		}
	}
	return records
}

// hasSession says whether the broker was heard of lately.
func (c *Controller) hasSession(b *metadata.Broker) bool {
	if b.ID == c.opts.LocalBroker {
		// Two lives of the local broker cannot overlap: they share the controller's process
		// and the lock on its directories.
		return false
	}
	s := c.sessions[b.ID]
	return s != nil && !b.Fenced && c.opts.Now().Sub(s.lastHeard) < c.opts.SessionTimeout
}

// Heartbeat keeps a broker alive and moves it between fenced, active and shutting down.
func (c *Controller) Heartbeat(m *metadata.Image, h metadata.BrokerHeartbeat) ([]metadata.Record, metadata.BrokerHeartbeatResult, error) {
	var result metadata.BrokerHeartbeatResult
	if err := checkBrokerEpoch(m, h.ID, h.Epoch); err != nil {
		return nil, result, err
	}
	b := m.Broker(h.ID)
	s := c.sessions[h.ID]
	if s == nil || s.epoch != b.Epoch {
		s = &session{epoch: b.Epoch, shutdownVersion: -1}
		c.sessions[h.ID] = s
	}
	s.lastHeard, s.imageVersion = c.opts.Now(), h.ImageVersion
	result.IsCaughtUp = h.ImageVersion >= b.Epoch
	var records []metadata.Record
	switch {
	case b.Fenced && h.WantShutDown:
		result.IsFenced, result.ShouldShutDown = true, true
	case b.Fenced && !h.WantFence && result.IsCaughtUp:
		active := *b
		active.Fenced, active.InControlledShutdown = false, false
		records = append(records, changeBroker(b, false, false))
		records = append(records, c.electLeaderless(m, &active)...)
	case b.Fenced:
		result.IsFenced = true
	case h.WantFence, h.WantShutDown && c.mayShutDown(m, b, s):
		records = append(c.leaveAll(m, b.ID), changeBroker(b, true, b.InControlledShutdown))
		result.IsFenced, result.ShouldShutDown = true, h.WantShutDown
	case h.WantShutDown && !b.InControlledShutdown:
		records = append([]metadata.Record{changeBroker(b, false, true)}, c.leaveAll(m, b.ID)...)
		s.shutdownVersion = m.Version() + 1
	}
	if len(records) == 0 {
		// Else the two would change the same partitions; the next heartbeat tells again.
		records = c.offlineDirectories(m, b, h.OfflineDirs)
	}
	return records, result, nil
}

func changeBroker(b *metadata.Broker, fenced, shutdown bool) metadata.Record {
	r := &metadata.BrokerChangeRecord{ID: b.ID, Epoch: b.Epoch}
	if fenced != b.Fenced {
		r.Fenced = &fenced
	}
	if shutdown != b.InControlledShutdown {
		r.InControlledShutdown = &shutdown
	}
	return r
}

// mayShutDown says whether a broker that wants to can go: it leads nothing, and all others
// know that it does not.
func (c *Controller) mayShutDown(m *metadata.Image, b *metadata.Broker, s *session) bool {
	for t := range m.Topics() {
		for _, p := range t.Partitions {
			if p.Leader == b.ID {
				return false
			}
		}
	}
	if !b.InControlledShutdown {
		return true
	}
	for _, other := range m.Brokers() {
		if os := c.sessions[other.ID]; other.ID != b.ID && isActive(m, other.ID) && os != nil &&
			other.ID != c.opts.LocalBroker && os.imageVersion < s.shutdownVersion {
			return false
		}
	}
	return true
}

// offlineDirectories handles directories of a broker that failed.
func (c *Controller) offlineDirectories(m *metadata.Image, b *metadata.Broker, offline []protocol.UUID) []metadata.Record {
	online := slices.DeleteFunc(slices.Clone(b.LogDirs), func(id protocol.UUID) bool { return slices.Contains(offline, id) })
	if len(online) == len(b.LogDirs) {
		return nil
	}
	var records []metadata.Record
	for t := range m.Topics() {
		for i, p := range t.Partitions {
			if dir := p.Directory(b.ID); p.InISR(b.ID) && slices.Contains(b.LogDirs, dir) && !slices.Contains(online, dir) {
				if record := c.leaveISR(m, t, int32(i), b.ID); record != nil {
					records = append(records, record)
				}
			}
		}
	}
	return append(records, &metadata.BrokerChangeRecord{ID: b.ID, Epoch: b.Epoch, LogDirs: &online})
}

// UnregisterBroker forgets a broker.
func (c *Controller) UnregisterBroker(m *metadata.Image, id int32) ([]metadata.Record, error) {
	b := m.Broker(id)
	if b == nil {
		return nil, protocol.Errorf(protocol.ErrBrokerIDNotRegistered, "Broker ID %d is not currently registered", id)
	}
	delete(c.sessions, id)
	return append(c.leaveAll(m, id), &metadata.RemoveBrokerRecord{ID: id, Epoch: b.Epoch}), nil
}

// FenceStale fences one broker whose session is over, if there is any. Fencing one at a
// time lets the next decision see the effect of the last.
func (c *Controller) FenceStale(m *metadata.Image) []metadata.Record {
	now := c.opts.Now()
	for _, b := range m.Brokers() {
		if b.Fenced || b.ID == c.opts.LocalBroker {
			continue
		}
		if s := c.sessions[b.ID]; s == nil || now.Sub(s.lastHeard) >= c.opts.SessionTimeout {
			return append(c.leaveAll(m, b.ID), changeBroker(b, true, b.InControlledShutdown))
		}
	}
	return nil
}

// BalanceLeaders elects preferred leaders where another leads (auto.leader.rebalance.enable).
// more says that there are further ones.
func (c *Controller) BalanceLeaders(m *metadata.Image) (records []metadata.Record, more bool) {
	for t := range m.Topics() {
		for i, p := range t.Partitions {
			if p.Leader == p.Replicas[0] {
				continue
			}
			if len(records) >= c.opts.MaxElectionsPerTick {
				return records, true
			}
			b := newPartitionChange(m, t, int32(i))
			b.rule = electPreferred
			if record := b.build(); record != nil {
				records = append(records, record)
			}
		}
	}
	return records, false
}

// ElectUnclean elects uncleanly where there is no leader and the topic allows it. more
// says that there are further ones.
func (c *Controller) ElectUnclean(m *metadata.Image) (records []metadata.Record, more bool) {
	for t := range m.Topics() {
		unclean, known := false, false
		for i, p := range t.Partitions {
			if p.Leader != metadata.NoLeader {
				continue
			}
			if !known {
				unclean, known = c.uncleanElection(m, t.Name), true
			}
			if !unclean {
				break
			}
			if len(records) >= c.opts.MaxElectionsPerTick {
				return records, true
			}
			b := newPartitionChange(m, t, int32(i))
			b.rule = electUnclean
			if record := b.build(); record != nil {
				records = append(records, record)
			}
		}
	}
	return records, false
}

// AllocateProducerIDs reserves the next block.
func (c *Controller) AllocateProducerIDs(m *metadata.Image, broker int32, epoch int64) ([]metadata.Record, metadata.ProducerIDBlock, error) {
	if err := checkBrokerEpoch(m, broker, epoch); err != nil {
		return nil, metadata.ProducerIDBlock{}, err
	}
	first := m.NextProducerID()
	if first > 1<<63-1-metadata.ProducerIDBlockSize {
		return nil, metadata.ProducerIDBlock{}, protocol.Errorf(protocol.ErrUnknownServerError,
			"Exhausted all producerIds as the next block's end producerId has exceeded the int64 type limit")
	}
	block := metadata.ProducerIDBlock{First: first, Count: metadata.ProducerIDBlockSize}
	return []metadata.Record{&metadata.ProducerIDsRecord{Broker: broker, Epoch: epoch, Next: first + metadata.ProducerIDBlockSize}}, block, nil
}
