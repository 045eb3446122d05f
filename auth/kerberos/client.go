package kerberos

import (
	"cmp"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/credentials"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// ClientOptions are what a client logs in with: a key table with a principal, or a cache
// of tickets that kinit has filled.
type ClientOptions struct {
	Krb5Conf    string // path of krb5.conf
	ServiceName string // first part of the brokers' principals: kafka
	Keytab      string // path of a key table; empty: the ticket cache
	Principal   string // of the key table: alice@REALM, alice/host@REALM
	TicketCache string // path; empty: the caller's default cache
}

// Client begins exchanges with brokers, as the one whose ticket or key it holds.
type Client struct {
	options ClientOptions
	krb     *client.Client
}

// NewClient reads key table or cache. It does not speak to a KDC yet.
func NewClient(o ClientOptions) (*Client, error) {
	conf, err := loadConf(o.Krb5Conf)
	if err != nil {
		return nil, err
	}
	if o.Keytab == "" {
		path := cmp.Or(o.TicketCache, os.Getenv("KRB5CCNAME"), fmt.Sprintf("/tmp/krb5cc_%d", os.Getuid()))
		path = strings.TrimPrefix(path, "FILE:")
		cache, err := credentials.LoadCCache(path)
		if err != nil {
			return nil, fmt.Errorf("read the ticket cache %s (kinit makes one): %w", path, err)
		}
		krb, err := client.NewFromCCache(cache, conf, client.DisablePAFXFAST(true))
		if err != nil {
			return nil, fmt.Errorf("ticket cache %s: %w", path, err)
		}
		return &Client{o, krb}, nil
	}
	data, err := ReadKeytab(o.Keytab)
	if err != nil {
		return nil, err
	}
	table := new(keytab.Keytab)
	if err := table.Unmarshal(data); err != nil {
		return nil, fmt.Errorf("the key table %s is malformed", o.Keytab)
	}
	principal := o.Principal
	if !strings.Contains(principal, "@") {
		principal += "@" + conf.LibDefaults.DefaultRealm
	}
	name, err := ParseName(principal)
	if err != nil {
		return nil, err
	}
	newestOnly(table, name)
	if len(table.Entries) == 0 {
		return nil, fmt.Errorf("the key table %s has no key of %v", o.Keytab, name)
	}
	return &Client{o, client.NewWithKeytab(name.withoutRealm(), name.Realm, table, conf, client.DisablePAFXFAST(true))}, nil
}

// Close forgets all keys.
func (c *Client) Close() { c.krb.Destroy() }

// ClientSession is one exchange as initiator.
type ClientSession struct {
	key  types.EncryptionKey
	done bool
}

// Begin gets a ticket for the broker on a host and returns the first token. It asks for no
// answer to its ticket, as Java's clients do not: TLS is what proves who a broker is.
func (c *Client) Begin(host string) (*ClientSession, []byte, error) {
	ticket, key, err := c.krb.GetServiceTicket(c.options.ServiceName + "/" + host)
	if err != nil {
		return nil, nil, fmt.Errorf("get a ticket for %s/%s: %w", c.options.ServiceName, host, err)
	}
	authenticator, err := types.NewAuthenticator(c.krb.Credentials.Domain(), c.krb.Credentials.CName())
	if err != nil {
		return nil, nil, err
	}
	sum := make([]byte, 24)
	binary.LittleEndian.PutUint32(sum, 16)
	binary.LittleEndian.PutUint32(sum[20:], 0x30) // confidentiality and integrity, as others ask
	authenticator.Cksum = types.Checksum{CksumType: checksumGSSAPI, Checksum: sum}
	request, err := messages.NewAPReq(ticket, key, authenticator)
	if err != nil {
		return nil, nil, err
	}
	der, err := request.Marshal()
	if err != nil {
		return nil, nil, err
	}
	return &ClientSession{key: key}, frame(tokenAPReq, der), nil
}

// Step takes the broker's offer of security layers and returns the choice, which is none
// (TLS has that task), and after it an empty token and true.
func (s *ClientSession) Step(token []byte) (done bool, answer []byte, err error) {
	if s.done {
		return true, nil, nil
	}
	payload, err := s.unwrapOffer(token)
	if err != nil {
		return false, nil, fmt.Errorf("the broker's offer of security layers: %w", err)
	}
	if len(payload) != 4 || payload[0]&noSecurityLayer[0] == 0 {
		return false, nil, errors.New("the broker wants every message wrapped by Kerberos, which is not supported; TLS encrypts")
	}
	header := binary.BigEndian.AppendUint64([]byte{5, 4, 0, 0xff, 0, 0, 0, 0}, 0)
	sum, err := wrapChecksum(noSecurityLayer, header, s.key, usageInitiatorSeal)
	if err != nil {
		return false, nil, err
	}
	binary.BigEndian.PutUint16(header[4:], uint16(len(sum)))
	s.done = true
	return false, append(append(header, noSecurityLayer...), sum...), nil
}

func (s *ClientSession) unwrapOffer(token []byte) ([]byte, error) {
	if len(token) < wrapHeaderSize || token[0] != 5 || token[1] != 4 || token[2] != wrapSentByAcceptor || token[3] != 0xff {
		return nil, errors.New("no per-message token of RFC 4121")
	}
	extra := int(binary.BigEndian.Uint16(token[4:]))
	body := rotateBack(token[wrapHeaderSize:], int(binary.BigEndian.Uint16(token[6:])))
	if extra > len(body) {
		return nil, errors.New("the checksum is longer than the token")
	}
	payload := body[:len(body)-extra]
	sum, err := wrapChecksum(payload, token, s.key, usageAcceptorSeal)
	if err != nil {
		return nil, err
	}
	if !hmac.Equal(sum, body[len(payload):]) {
		return nil, errors.New("the checksum is wrong")
	}
	return payload, nil
}
