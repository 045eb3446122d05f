package protocol

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strconv"
)

// UUID is a topic id, directory id or cluster id in Kafka's 16-byte form.
type UUID [16]byte

// NewUUID returns a random version 4 UUID whose base64 form does not begin with a dash
// and which is none of Kafka's reserved ids (0 to 99), as Apache's Uuid.randomUuid does.
func NewUUID() UUID {
	for {
		var u UUID
		rand.Read(u[:])
		u[6] = u[6]&0x0f | 0x40
		u[8] = u[8]&0x3f | 0x80
		if u.String()[0] != '-' {
			return u
		}
	}
}

// String returns the URL-safe base64 form without padding (22 characters), the one that
// Kafka's files and tools show.
func (u UUID) String() string { return base64.RawURLEncoding.EncodeToString(u[:]) }

// IsZero says whether the id is unset.
func (u UUID) IsZero() bool { return u == UUID{} }

// ParseUUID reads the base64 form that String writes.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != len(u) {
		return u, fmt.Errorf("%q is not a 22-character base64 id", s)
	}
	copy(u[:], b)
	return u, nil
}

// TopicPartition names one partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// String returns topic-partition, which is also the name of the partition's directory.
func (tp TopicPartition) String() string {
	return tp.Topic + "-" + strconv.Itoa(int(tp.Partition))
}
