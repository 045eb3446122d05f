package broker

import "github.com/barnabas-broker/barnabas/protocol"

// nameLeader tells a client that asked the wrong broker who leads the partition, and at
// which address on the client's own listener (KIP-951).
func (b *Broker) nameLeader(r *request, topic string, partition int32, leader **protocol.LeaderIDAndEpoch, endpoints *[]protocol.NodeEndpoint) {
	image := b.store.Image()
	p := image.Partition(protocol.TopicPartition{Topic: topic, Partition: partition})
	if p == nil {
		return
	}
	*leader = &protocol.LeaderIDAndEpoch{LeaderID: p.Leader, LeaderEpoch: p.LeaderEpoch}
	broker := image.Broker(p.Leader)
	if broker == nil {
		return
	}
	for _, e := range *endpoints {
		if e.NodeID == p.Leader {
			return
		}
	}
	if e, ok := broker.Endpoint(r.session.listener.name); ok {
		*endpoints = append(*endpoints, protocol.NodeEndpoint{NodeID: broker.ID, Host: e.Host, Port: e.Port, Rack: broker.Rack})
	}
}
