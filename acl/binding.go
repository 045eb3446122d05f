package acl

import (
	"cmp"
	"net/netip"
	"strings"

	"github.com/barnabas-broker/barnabas/protocol"
)

// Binding is one ACL: a pattern of resources, and what it allows or denies whom there.
// It is comparable.
type Binding struct {
	ResourceType ResourceType
	ResourceName string
	PatternType  PatternType
	Principal    string // Type:name; User:* is everybody
	Host         string // an IP address; * is every host
	Operation    Operation
	Permission   Permission
}

// Validate says why a client may not create the ACL, in Apache's words.
func (b *Binding) Validate() error {
	invalid := func(format string, args ...any) error {
		return protocol.Errorf(protocol.ErrInvalidRequest, format, args...)
	}
	switch {
	case b.ResourceType == ClusterResource && b.ResourceName != ClusterName:
		return invalid("The only valid name for the CLUSTER resource is %s", ClusterName)
	case b.ResourceName == "":
		return invalid("Invalid empty resource name")
	case b.ResourceType <= AnyResource || b.ResourceType >= resourceTypeCount:
		return invalid("Invalid resourceType %s", b.ResourceType)
	case b.PatternType != Literal && b.PatternType != Prefixed:
		return invalid("Invalid patternType %s", b.PatternType)
	case b.Operation <= AnyOperation || b.Operation >= operationCount:
		return invalid("Invalid operation %s", b.Operation)
	case b.Permission != Deny && b.Permission != Allow:
		return invalid("Invalid permissionType %s", b.Permission)
	}
	if _, ok := parsePrincipal(b.Principal); !ok {
		return invalid("Could not parse principal from `%s` (no colon is present separating the principal type from the principal name)",
			b.Principal)
	}
	return nil
}

// Covers says whether the pattern of the ACL covers the resource.
func (b *Binding) Covers(r Resource) bool {
	if b.ResourceType != r.Type {
		return false
	}
	switch b.PatternType {
	case Literal:
		return b.ResourceName == r.Name || b.ResourceName == Wildcard
	case Prefixed:
		return strings.HasPrefix(r.Name, b.ResourceName)
	default:
		return false
	}
}

// String shows the ACL as Apache's log does.
func (b *Binding) String() string {
	return "StandardAcl(resourceType=" + b.ResourceType.String() + ", resourceName=" + b.ResourceName +
		", patternType=" + b.PatternType.String() + ", principal=" + b.Principal + ", host=" + b.Host +
		", operation=" + b.Operation.String() + ", permissionType=" + b.Permission.String() + ")"
}

// Compare orders ACLs by pattern, then by whom they are for: what a person wants to read.
func (b *Binding) Compare(c *Binding) int {
	return cmp.Or(cmp.Compare(b.ResourceType, c.ResourceType), cmp.Compare(b.ResourceName, c.ResourceName),
		cmp.Compare(b.PatternType, c.PatternType), cmp.Compare(b.Principal, c.Principal), cmp.Compare(b.Permission, c.Permission),
		cmp.Compare(b.Operation, c.Operation), cmp.Compare(b.Host, c.Host))
}

// parseHost reads the host of an ACL. Apache compares texts, and Java writes an IPv6
// address in full, 0:0:0:0:0:0:0:1; here every spelling of an address is that address. What
// is neither * nor an address (a host name, a range) matches nobody, as on Apache 4.3.
func parseHost(text string) (addr netip.Addr, any, ok bool) {
	if text == Wildcard {
		return netip.Addr{}, true, true
	}
	addr, err := netip.ParseAddr(text)
	return addr.Unmap(), false, err == nil
}

// HostText is the spelling of an address in Apache's logs, which is also the only one that
// its authorizer matches: IPv6 in full and without leading zeros.
func HostText(host netip.Addr) string {
	host = host.Unmap()
	if !host.Is6() {
		return host.String()
	}
	const digits = "0123456789abcdef"
	b := make([]byte, 0, 48)
	raw := host.As16()
	for i := 0; i < 16; i += 2 {
		if i > 0 {
			b = append(b, ':')
		}
		n, begun := uint16(raw[i])<<8|uint16(raw[i+1]), false
		for shift := 12; shift >= 0; shift -= 4 {
			d := n >> shift & 15
			if begun = begun || d != 0 || shift == 0; begun {
				b = append(b, digits[d])
			}
		}
	}
	if zone := host.Zone(); zone != "" {
		b = append(append(b, '%'), zone...)
	}
	return string(b)
}
