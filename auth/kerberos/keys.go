package kerberos

import (
	"errors"
	"fmt"
	"slices"

	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/types"
)

// keytabMaxBytes is far above any key table; each key takes about 100 bytes.
const keytabMaxBytes = 1 << 20

// serviceKeys are the keys of one service principal, the newest version first.
type serviceKeys []serviceKey

type serviceKey struct {
	version int // kvno
	key     types.EncryptionKey
}

// keySizes holds the length of the keys of each encryption type that a session may have.
var keySizes = map[int32]int{
	etypeID.AES128_CTS_HMAC_SHA1_96:    16,
	etypeID.AES256_CTS_HMAC_SHA1_96:    32,
	etypeID.AES128_CTS_HMAC_SHA256_128: 16,
	etypeID.AES256_CTS_HMAC_SHA384_192: 32,
}

// weakKeySizes are those of types that only tickets may have, and only if it is allowed.
var weakKeySizes = map[int32]int{etypeID.DES3_CBC_SHA1_KD: 24, etypeID.RC4_HMAC: 16}

// parseKeytab picks the service's keys out of a key table, and nobody else's.
func parseKeytab(data []byte, service Name, allowWeak bool) (serviceKeys, error) {
	if len(data) > keytabMaxBytes {
		return nil, fmt.Errorf("key table of %d bytes", len(data))
	}
	table := new(keytab.Keytab)
	if err := table.Unmarshal(data); err != nil {
		return nil, errors.New("the key table is malformed") // the library's errors quote its bytes
	}
	var keys serviceKeys
	weak := 0
	for _, e := range table.Entries {
		if e.Principal.Realm != service.Realm || !slices.Equal(e.Principal.Components, service.components()) {
			continue
		}
		size, strong := keySizes[e.Key.KeyType]
		if !strong {
			weak++
			if size = weakKeySizes[e.Key.KeyType]; size == 0 || !allowWeak {
				continue
			}
		}
		if len(e.Key.KeyValue) != size {
			return nil, fmt.Errorf("the key table's key of %v with encryption type %d has %d bytes", service, e.Key.KeyType, len(e.Key.KeyValue))
		}
		keys = append(keys, serviceKey{int(e.KVNO), e.Key})
	}
	switch {
	case len(keys) == 0 && weak > 0:
		return nil, fmt.Errorf("the key table has keys of %v only with encryption types that are not allowed", service)
	case len(keys) == 0:
		return nil, fmt.Errorf("the key table has no key of %v", service)
	}
	slices.SortStableFunc(keys, func(a, b serviceKey) int { return b.version - a.version })
	return keys, nil
}

func (n Name) components() []string {
	if n.Host != "" {
		return []string{n.Service, n.Host}
	}
	return []string{n.Service}
}

// candidates returns the keys to try on a ticket: those of its version first, then the
// others of its type, for a version number does not survive every KDC.
func (keys serviceKeys) candidates(etype int32, version int) []types.EncryptionKey {
	var exact, others []types.EncryptionKey
	for _, k := range keys {
		switch {
		case k.key.KeyType != etype:
		case k.version == version:
			exact = append(exact, k.key)
		default:
			others = append(others, k.key)
		}
	}
	return append(exact, others...)
}
