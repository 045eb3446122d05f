package kerberos

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/barnabas-broker/barnabas/auth"
)

const (
	testRealm   = "EXAMPLE.COM"
	testService = "kafka/broker.example.com@EXAMPLE.COM"
)

var testNow = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// initiator is a client that holds the service's key and so can forge any ticket. Its
// fields are what goes wrong in the tests.
type initiator struct {
	now      time.Time
	etype    int32
	keytab   *keytab.Keytab
	service  types.PrincipalName
	realm    string
	kvno     int
	ticket   messages.EncTicketPart
	auth     types.Authenticator
	flags    uint32
	binding  [16]byte
	options  asn1.BitString
	seal     bool // per-message tokens encrypted
	rotate   int
	sequence uint64
}

func testKeytab(t testing.TB, etypes ...int32) *keytab.Keytab {
	t.Helper()
	kt := keytab.New()
	for _, etype := range etypes {
		if err := kt.AddEntry("kafka/broker.example.com", testRealm, "service password", testNow, 3, etype); err != nil {
			t.Fatal(err)
		}
	}
	return kt
}

func testMechanism(t testing.TB, kt *keytab.Keytab, change func(*Options)) *Mechanism {
	t.Helper()
	data, err := kt.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	rules, err := ParseRules(testRealm, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Principal: testService, Keytab: data, Rules: rules, Now: func() time.Time { return testNow }}
	if change != nil {
		change(&o)
	}
	m, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func randomKey(t testing.TB, etypeID int32) types.EncryptionKey {
	t.Helper()
	etype, err := crypto.GetEtype(etypeID)
	if err != nil {
		t.Fatal(err)
	}
	key, err := types.GenerateEncryptionKey(etype)
	if err != nil {
		t.Fatal(err)
	}
	if size := keySizes[etypeID]; size != 0 && len(key.KeyValue) != size {
		key.KeyValue = append(key.KeyValue, make([]byte, size)...)[:size] // the library counts 24 bytes for type 20
	}
	return key
}

func newInitiator(t testing.TB, kt *keytab.Keytab, etype int32) *initiator {
	cname := types.NewPrincipalName(1, "alice")
	i := &initiator{
		now: testNow, etype: etype, keytab: kt, kvno: 3, realm: testRealm,
		service: types.NewPrincipalName(1, "kafka/broker.example.com"),
		options: types.NewKrbFlags(),
		flags:   0x3c,
	}
	i.ticket = messages.EncTicketPart{
		Flags: types.NewKrbFlags(), Key: randomKey(t, etype), CRealm: testRealm, CName: cname,
		AuthTime: testNow.Add(-time.Hour), StartTime: testNow.Add(-time.Hour), EndTime: testNow.Add(time.Hour),
	}
	i.auth = types.Authenticator{
		AVNO: 5, CRealm: testRealm, CName: cname, CTime: testNow, Cusec: 123456, SeqNumber: 77, SubKey: randomKey(t, etype),
	}
	return i
}

// request makes the initial token.
func (i *initiator) request(t testing.TB) []byte {
	t.Helper()
	if i.auth.Cksum.CksumType == 0 {
		sum := binary.LittleEndian.AppendUint32(nil, 16)
		sum = append(sum, i.binding[:]...)
		i.auth.Cksum = types.Checksum{CksumType: checksumGSSAPI, Checksum: binary.LittleEndian.AppendUint32(sum, i.flags)}
	}
	authenticator, err := i.auth.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return i.requestWith(t, authenticator)
}

// requestWith makes the initial token with any bytes as authenticator.
func (i *initiator) requestWith(t testing.TB, authenticator []byte) []byte {
	t.Helper()
	part, err := asn1.Marshal(i.ticket)
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := i.keytab.GetEncryptionKey(types.NewPrincipalName(1, "kafka/broker.example.com"), testRealm, 3, i.etype)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := crypto.GetEncryptedData(asn1tools.AddASNAppTag(part, asnAppTag.EncTicketPart), key, usageTicket, i.kvno)
	if err != nil {
		t.Fatal(err)
	}
	sealedAuth, err := crypto.GetEncryptedData(authenticator, i.ticket.Key, usageAuthenticator, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := messages.APReq{
		PVNO: 5, MsgType: 14, APOptions: i.options, EncryptedAuthenticator: sealedAuth,
		Ticket: messages.Ticket{TktVNO: 5, Realm: i.realm, SName: i.service, EncPart: sealed},
	}
	b, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return frame(tokenAPReq, b)
}

func (i *initiator) key() types.EncryptionKey {
	if len(i.auth.SubKey.KeyValue) > 0 {
		return i.auth.SubKey
	}
	return i.ticket.Key
}

// wrapped makes a per-message token as an initiator.
func (i *initiator) wrapped(t testing.TB, payload []byte) []byte {
	t.Helper()
	header := binary.BigEndian.AppendUint64([]byte{5, 4, 0, 0xff, 0, 0, 0, 0}, i.sequence)
	var body []byte
	if i.seal {
		header[2] = wrapSealed
		const filler = 3
		binary.BigEndian.PutUint16(header[4:], filler)
		plain := slices.Concat(payload, make([]byte, filler), header)
		sealed, err := crypto.GetEncryptedData(plain, i.key(), usageInitiatorSeal, 0)
		if err != nil {
			t.Fatal(err)
		}
		body = sealed.Cipher
	} else {
		sum, err := wrapChecksum(payload, header, i.key(), usageInitiatorSeal)
		if err != nil {
			t.Fatal(err)
		}
		binary.BigEndian.PutUint16(header[4:], uint16(len(sum)))
		body = slices.Concat(payload, sum)
	}
	if i.rotate > 0 {
		binary.BigEndian.PutUint16(header[6:], uint16(i.rotate))
		n := i.rotate % len(body)
		body = slices.Concat(body[len(body)-n:], body[:len(body)-n])
	}
	return append(header, body...)
}

// run goes through a whole exchange; authzid is what the client wants to be.
func (i *initiator) run(t testing.TB, m *Mechanism, authzid string) (*auth.Identity, error) {
	t.Helper()
	e := m.Start(auth.Peer{Address: netip.MustParseAddr("::ffff:10.1.2.3")})
	step, err := e.Step(i.request(t))
	if err != nil {
		return nil, err
	}
	if i.flags&contextMutual != 0 {
		i.checkReply(t, step.Token)
		if step, err = e.Step(nil); err != nil {
			return nil, err
		}
	}
	i.checkOffer(t, step.Token)
	step, err = e.Step(i.wrapped(t, append([]byte{1, 0, 0, 0}, authzid...)))
	if err != nil {
		return nil, err
	}
	if step.Done == nil || step.Token != nil {
		t.Fatalf("the last step is %+v", step)
	}
	if _, err := e.Step(nil); err == nil {
		t.Fatal("a token after the end passed")
	}
	return step.Done, nil
}

func (i *initiator) checkReply(t testing.TB, token []byte) {
	t.Helper()
	var raw asn1.RawValue
	if rest, err := asn1.Unmarshal(token, &raw); err != nil || len(rest) > 0 || token[0] != 0x60 {
		t.Fatalf("AP-REP %x: %v", token, err)
	}
	inner, ok := bytes.CutPrefix(raw.Bytes, slices.Concat(mechanismOID, tokenAPRep))
	if !ok {
		t.Fatalf("AP-REP %x", token)
	}
	var rep messages.APRep
	if err := rep.Unmarshal(inner); err != nil {
		t.Fatal(err)
	}
	plain, err := decrypt(rep.EncPart.Cipher, i.ticket.Key, usageAPRep)
	if err != nil {
		t.Fatal(err)
	}
	var part messages.EncAPRepPart
	if err := part.Unmarshal(plain); err != nil {
		t.Fatal(err)
	}
	if !part.CTime.Equal(i.auth.CTime) || part.Cusec != i.auth.Cusec || len(part.Subkey.KeyValue) > 0 {
		t.Fatalf("AP-REP %+v", part)
	}
	i.auth.SeqNumber = part.SequenceNumber
}

func (i *initiator) checkOffer(t testing.TB, token []byte) {
	t.Helper()
	if len(token) < 20 || token[2] != wrapSentByAcceptor {
		t.Fatalf("offer %x", token)
	}
	if got := binary.BigEndian.Uint64(token[8:]); got != uint64(i.auth.SeqNumber) {
		t.Fatalf("our token has the sequence number %d, not %d", got, i.auth.SeqNumber)
	}
	payload := token[16:20]
	sum, err := wrapChecksum(payload, token, i.key(), usageAcceptorSeal)
	if err != nil || !bytes.Equal(sum, token[20:]) || !bytes.Equal(payload, noSecurityLayer) {
		t.Fatalf("offer %x, %v", token, err)
	}
}

func isRetriable(err error) bool {
	var f *auth.Failure
	return errors.As(err, &f) && f.Retriable
}
