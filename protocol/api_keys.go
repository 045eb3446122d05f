package protocol

import (
	"strconv"

	"github.com/barnabas-broker/barnabas/protocol/schema"
)

// APIName returns Kafka's name of an API key, e.g. "ListOffsets", or the number for one
// that has none.
func APIName(key int16) string {
	if api := schema.Lookup(key); api != nil {
		return api.Name
	}
	return strconv.Itoa(int(key))
}
