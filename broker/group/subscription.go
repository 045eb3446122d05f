package group

import (
	"slices"
	"unique"

	"github.com/barnabas-broker/barnabas/protocol"
)

// consumerProtocolType is the protocol type of consumers. Only of those does the
// coordinator look into the metadata: to know which topics a live group is subscribed to,
// whose offsets may then be neither deleted nor expired.
const consumerProtocolType = "consumer"

// appendSubscribedTopics appends the topics of a consumer protocol subscription to dst.
// Every version begins with the fields of version 0, later ones only add behind them, so
// that versions to come can be read too.
func appendSubscribedTopics(dst []string, metadata []byte) ([]string, error) {
	r := protocol.NewReader(metadata)
	if r.Int16() < 0 {
		return dst, protocol.ErrMalformed
	}
	n := r.ArrayLength(false, 2)
	for i := 0; i < n && r.Err() == nil; i++ {
		topic := r.String(false)
		if r.Err() == nil {
			dst = append(dst, intern(string(topic)))
		}
	}
	r.NullableBytes(false) // user data
	return dst, r.Err()
}

// subscribedTopics returns the union of all members' topics, sorted. known is false if
// the group is not one of consumers or a member's metadata cannot be read.
func (g *group) subscribedTopics() (topics []string, known bool) {
	if g.protocolType != consumerProtocolType {
		return nil, false
	}
	if len(g.members) > 0 && !g.hasProtocol {
		return nil, false
	}
	for _, m := range g.members {
		metadata, ok := m.metadataFor(g.protocol)
		if !ok {
			return nil, false
		}
		var err error
		if topics, err = appendSubscribedTopics(topics, metadata); err != nil {
			return nil, false
		}
	}
	slices.Sort(topics)
	return slices.Clip(slices.Compact(topics)), true
}

// isSubscribedTo says whether deleting offsets of topic might hurt a member; if the
// subscription is not known, it might.
func (g *group) isSubscribedTo(topic string) bool {
	if !g.subscribedKnown {
		return true
	}
	_, found := slices.BinarySearch(g.subscribed, topic)
	return found
}

// intern returns the one copy of a string that is kept in many places, such as a topic
// name in the offsets of a thousand groups.
func intern(s string) string { return unique.Make(s).Value() }
