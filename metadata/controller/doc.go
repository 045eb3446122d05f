// Package controller decides what happens to a cluster's metadata: where replicas are
// placed, who leads a partition, which command is carried out and which is refused, with
// the error codes and words of Kafka's own controller.
//
// It is a pure core. Every method of [Controller] takes the image that the decision is
// made on and returns the records that carry it out, and the result to answer with; it
// changes nothing, waits for nothing, and knows time, chance and new ids only through
// [Options]. A store applies the records, or drops them. Beyond options a Controller remembers
// only when it last heard of each broker, which no log keeps: a new controller gives every broker a fresh session.
//
// A Controller is used by one goroutine at a time.
package controller
