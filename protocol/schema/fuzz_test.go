package schema_test

import (
	"math/rand/v2"
	"testing"

	"github.com/barnabas-broker/barnabas/protocol/schema"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

// fuzzFamily feeds bodies of a family of APIs to Check, and those it accepts to kmsg,
// which must decode them within the estimate.
func fuzzFamily(f *testing.F, keys ...int16) {
	r := rand.New(rand.NewPCG(3, 3))
	for _, key := range keys {
		api := schema.Lookup(key)
		for version := api.Min; version <= api.Max; version++ {
			f.Add(key, version, randomMessage(r, kmsg.RequestForKey(key), version))
		}
	}
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		defer fuzzcost.Bound(t, len(body), 64)()
		if api := schema.Lookup(key); api != nil {
			checkThenDecode(t, api, version, body)
		} else if _, err := schema.Check(key, version, body, schema.Limits{}); err == nil {
			t.Fatalf("key %d does not exist and is accepted", key)
		}
	})
}

func FuzzCheckData(f *testing.F) { fuzzFamily(f, 0, 1, 2, 3, 21, 23, 75) }

func FuzzCheckGroups(f *testing.F) {
	fuzzFamily(f, 8, 9, 10, 11, 12, 13, 14, 15, 16, 42, 47, 68, 69)
}

func FuzzCheckTransactions(f *testing.F) { fuzzFamily(f, 22, 24, 25, 26, 27, 28, 61, 65, 66, 67) }

func FuzzCheckUnauthenticated(f *testing.F) { fuzzFamily(f, 17, 18, 36) }

func FuzzCheckSecurity(f *testing.F) {
	fuzzFamily(f, 29, 30, 31, 38, 39, 40, 41, 48, 49, 50, 51)
}

func FuzzCheckAdmin(f *testing.F) {
	fuzzFamily(f, 19, 20, 32, 33, 34, 35, 37, 43, 44, 45, 46, 57, 60, 64, 71, 72, 74)
}

func FuzzCheckBrokers(f *testing.F) {
	fuzzFamily(f, 4, 5, 6, 7, 52, 53, 54, 55, 56, 58, 59, 62, 63, 70, 73, 80, 81, 82)
}

func FuzzCheckShareAndStreams(f *testing.F) {
	fuzzFamily(f, 76, 77, 78, 79, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92)
}
