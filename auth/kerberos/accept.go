package kerberos

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/msgtype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/barnabas-broker/barnabas/auth"
)

// mechanismOID is Kerberos 5, 1.2.840.113554.1.2.2, as it stands in a token.
var mechanismOID = []byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2}

// Token ids behind the mechanism (RFC 4121 §4.1).
var (
	tokenAPReq = []byte{1, 0}
	tokenAPRep = []byte{2, 0}
)

// Bits of the flags in the authenticator's checksum (RFC 4121 §4.1.1), of the options of
// an AP-REQ and of a ticket (RFC 4120).
const (
	contextMutual   = 0x0002
	contextDCEStyle = 0x1000

	optionUseSessionKey = 1

	ticketInvalid                = 7
	ticketTransitedPolicyChecked = 12
	ticketAnonymous              = 16

	checksumGSSAPI = 0x8003
)

// securityContext is what an AP-REQ has established.
type securityContext struct {
	client            Name
	mutual            bool
	key               types.EncryptionKey // of per-message tokens: the initiator's subkey, else ticketKey
	ticketKey         types.EncryptionKey
	initiatorSequence uint64
	authenticatorTime time.Time
	authenticatorUsec int
}

// accept takes an initial token, and lets in whoever holds a ticket for us and its key.
func (m *Mechanism) accept(token []byte, peer auth.Peer) (securityContext, error) {
	inner, err := unframe(token)
	if err != nil {
		return securityContext{}, err
	}
	var request messages.APReq
	if err := request.Unmarshal(inner); err != nil {
		return securityContext{}, errors.New("the AP-REQ is malformed")
	}
	ticket, err := m.openTicket(&request, peer)
	if err != nil {
		return securityContext{}, err
	}
	authenticator, err := m.openAuthenticator(&request, ticket)
	if err != nil {
		return securityContext{}, err
	}
	client, err := clientName(ticket)
	if err != nil {
		return securityContext{}, err
	}
	c := securityContext{
		client: client, key: ticket.Key, ticketKey: ticket.Key,
		initiatorSequence: uint64(uint32(authenticator.SeqNumber)),
		authenticatorTime: authenticator.CTime, authenticatorUsec: authenticator.Cusec,
	}
	if authenticator.SubKey.KeyType != 0 || len(authenticator.SubKey.KeyValue) != 0 {
		if err := sessionKey(authenticator.SubKey); err != nil {
			return securityContext{}, fmt.Errorf("subkey: %w", err)
		}
		c.key = authenticator.SubKey
	}
	if c.mutual, err = m.checksum(authenticator.Cksum, peer); err != nil {
		return securityContext{}, err
	}
	// Last, so that only good authenticators are remembered.
	switch m.replays.check(request.EncryptedAuthenticator.Cipher, m.now(), 2*m.skew) {
	case replaySeen:
		return securityContext{}, &auth.Failure{Reason: fmt.Errorf("replay of an authenticator of %v", client), Retriable: true}
	case replayFull:
		return securityContext{}, &auth.Failure{Reason: errors.New("too many authenticators to remember"), Retriable: true}
	}
	return c, nil
}

// unframe takes the framing of RFC 2743 off an initial token:
//
//	60 <DER length> <mechanism> 01 00 <AP-REQ>
func unframe(token []byte) ([]byte, error) {
	var raw asn1.RawValue
	if len(token) == 0 || token[0] != 0x60 {
		return nil, errors.New("no initial token of GSSAPI")
	}
	if rest, err := asn1.Unmarshal(token, &raw); err != nil || len(rest) > 0 {
		return nil, errors.New("the length of the initial token is wrong")
	}
	inner, ok := bytes.CutPrefix(raw.Bytes, mechanismOID)
	if !ok {
		return nil, errors.New("the mechanism of the initial token is not Kerberos 5")
	}
	if inner, ok = bytes.CutPrefix(inner, tokenAPReq); !ok {
		return nil, errors.New("the initial token holds no AP-REQ")
	}
	return inner, nil
}

// frame puts the framing of RFC 2743 around a context token.
func frame(id, inner []byte) []byte {
	body := slices.Concat(mechanismOID, id, inner)
	return slices.Concat([]byte{0x60}, asn1tools.MarshalLengthBytes(len(body)), body)
}

// openTicket decrypts the ticket with one of our keys and judges it.
func (m *Mechanism) openTicket(request *messages.APReq, peer auth.Peer) (*messages.EncTicketPart, error) {
	t := &request.Ticket
	switch {
	case request.PVNO != iana.PVNO || t.TktVNO != iana.PVNO:
		return nil, errors.New("not Kerberos 5")
	case request.APOptions.At(optionUseSessionKey) != 0:
		return nil, errors.New("user-to-user authentication is not supported")
	case t.Realm != m.service.Realm || !slices.Equal(t.SName.NameString, m.service.components()):
		return nil, fmt.Errorf("the ticket is for %.100q in realm %.100q, we are %v", t.SName.NameString, t.Realm, m.service)
	}
	plain, err := m.decryptTicket(t)
	if err != nil {
		return nil, err
	}
	part := new(messages.EncTicketPart)
	if err := part.Unmarshal(plain); err != nil {
		return nil, errors.New("the encrypted part of the ticket is malformed")
	}
	if err := sessionKey(part.Key); err != nil {
		return nil, err
	}
	return part, m.judgeTicket(part, peer)
}

func (m *Mechanism) decryptTicket(t *messages.Ticket) ([]byte, error) {
	keys := m.keys.Load().candidates(t.EncPart.EType, t.EncPart.KVNO)
	for _, key := range keys {
		if plain, err := decrypt(t.EncPart.Cipher, key, usageTicket); err == nil {
			return plain, nil
		}
	}
	return nil, fmt.Errorf("none of our %d keys of encryption type %d decrypts the ticket, which asks for version %d",
		len(keys), t.EncPart.EType, t.EncPart.KVNO)
}

func (m *Mechanism) judgeTicket(t *messages.EncTicketPart, peer auth.Peer) error {
	now := m.now()
	start := t.StartTime
	if start.IsZero() {
		start = t.AuthTime
	}
	switch {
	case now.Add(m.skew).Before(start), t.Flags.At(ticketInvalid) != 0:
		return &auth.Failure{Reason: fmt.Errorf("the ticket is valid from %v on", start), Retriable: true}
	case now.Add(-m.skew).After(t.EndTime):
		return fmt.Errorf("the ticket expired at %v", t.EndTime)
	case t.Flags.At(ticketAnonymous) != 0:
		return errors.New("the ticket is anonymous")
	case t.CRealm != m.service.Realm && t.Flags.At(ticketTransitedPolicyChecked) == 0 && len(t.Transited.Contents) > 0:
		return errors.New("the ticket came through other realms and no KDC has checked them")
	}
	if len(t.CAddr) == 0 {
		return nil
	}
	const ipv4, ipv6 = 2, 24
	address := peer.Address.Unmap()
	for _, a := range t.CAddr {
		if (a.AddrType == ipv4 || a.AddrType == ipv6) && bytes.Equal(a.Address, address.AsSlice()) {
			return nil
		}
	}
	return fmt.Errorf("the ticket is not for use from %v", address)
}

// openAuthenticator decrypts the authenticator with the ticket's key and holds it against
// the ticket.
func (m *Mechanism) openAuthenticator(request *messages.APReq, ticket *messages.EncTicketPart) (*types.Authenticator, error) {
	sealed := request.EncryptedAuthenticator
	if sealed.EType != ticket.Key.KeyType {
		return nil, errors.New("the authenticator has another encryption type than the ticket's key")
	}
	plain, err := decrypt(sealed.Cipher, ticket.Key, usageAuthenticator)
	if err != nil {
		return nil, errors.New("the ticket's key does not decrypt the authenticator")
	}
	a := new(types.Authenticator)
	if err := a.Unmarshal(plain); err != nil {
		return nil, errors.New("the authenticator is malformed")
	}
	if a.CRealm != ticket.CRealm || !slices.Equal(a.CName.NameString, ticket.CName.NameString) {
		return nil, errors.New("authenticator and ticket name different clients")
	}
	if a.Cusec < 0 || a.Cusec > 999_999 {
		return nil, errors.New("the authenticator's microseconds are malformed")
	}
	sent := a.CTime.Add(time.Duration(a.Cusec) * time.Microsecond)
	if off := m.now().Sub(sent).Abs(); off > m.skew {
		return nil, fmt.Errorf("the clock of %.100q is off by %v", ticket.CName.NameString, off)
	}
	return a, nil
}

// clientName is the identity: from the ticket, which the KDC wrote, alone.
func clientName(ticket *messages.EncTicketPart) (Name, error) {
	n := Name{Realm: ticket.CRealm}
	parts := ticket.CName.NameString
	if len(parts) < 1 || len(parts) > 2 {
		return Name{}, fmt.Errorf("a client's name of %d components", len(parts))
	}
	n.Service = parts[0]
	if len(parts) == 2 {
		n.Host = parts[1]
	}
	if !component(n.Service) || !component(n.Realm) || len(parts) == 2 && !component(n.Host) {
		return Name{}, fmt.Errorf("the client's name %.100q in realm %.100q is malformed", parts, n.Realm)
	}
	return n, nil
}

// checksum reads the authenticator's checksum, which is none but a place for flags:
//
//	16 (4 bytes, little-endian) | hash of the channel bindings (16) | flags (4) | ...
func (m *Mechanism) checksum(sum types.Checksum, peer auth.Peer) (mutual bool, err error) {
	if sum.CksumType != checksumGSSAPI || len(sum.Checksum) < 24 || binary.LittleEndian.Uint32(sum.Checksum) != 16 {
		return false, errors.New("the authenticator's checksum is not that of GSSAPI")
	}
	binding := sum.Checksum[4:20]
	if m.checkBinder && peer.ServerEndPoint != nil && !bytes.Equal(binding, make([]byte, 16)) {
		if want := bindingHash(peer.ServerEndPoint); !bytes.Equal(binding, want[:]) {
			return false, errors.New("the client is bound to another channel")
		}
	}
	flags := binary.LittleEndian.Uint32(sum.Checksum[20:])
	if flags&contextDCEStyle != 0 {
		return false, errors.New("DCE style contexts are not supported")
	}
	return flags&contextMutual != 0, nil
}

// bindingHash is the MD5 of channel bindings without addresses (RFC 4121 §4.1.1.2).
func bindingHash(serverEndPoint []byte) [md5.Size]byte {
	data := append([]byte("tls-server-end-point:"), serverEndPoint...)
	b := binary.LittleEndian.AppendUint32(make([]byte, 16), uint32(len(data)))
	return md5.Sum(append(b, data...))
}

// reply makes the AP-REP, which proves to the initiator that we could read its ticket. It
// carries no key of ours: not all initiators could use it.
func (c *securityContext) reply(sequence uint64) ([]byte, error) {
	part, err := asn1.Marshal(messages.EncAPRepPart{CTime: c.authenticatorTime, Cusec: c.authenticatorUsec, SequenceNumber: int64(sequence)})
	if err != nil {
		return nil, fmt.Errorf("make the AP-REP: %w", err)
	}
	sealed, err := crypto.GetEncryptedData(asn1tools.AddASNAppTag(part, asnAppTag.EncAPRepPart), c.ticketKey, usageAPRep, 0)
	if err != nil {
		return nil, fmt.Errorf("make the AP-REP: %w", err)
	}
	answer, err := asn1.Marshal(messages.APRep{PVNO: iana.PVNO, MsgType: msgtype.KRB_AP_REP, EncPart: sealed})
	if err != nil {
		return nil, fmt.Errorf("make the AP-REP: %w", err)
	}
	return frame(tokenAPRep, asn1tools.AddASNAppTag(answer, asnAppTag.APREP)), nil
}
