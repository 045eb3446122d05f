package kerberos

import (
	"errors"
	"fmt"
	"slices"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/barnabas-broker/barnabas/auth"
)

// SelfTest logs the service in at its KDC with the key table, fetches a ticket to itself
// and accepts it: what a broker does before it opens its ports, so that a wrong key table,
// name or clock shows at start and not at the first client. krb5Conf is the path of
// krb5.conf. It takes as long as the KDC takes, up to some tens of seconds.
func (m *Mechanism) SelfTest(krb5Conf string, keytabData []byte) error {
	conf, err := loadConf(krb5Conf)
	if err != nil {
		return err
	}
	table := new(keytab.Keytab)
	if err := table.Unmarshal(keytabData); err != nil {
		return errors.New("the key table is malformed")
	}
	newestOnly(table, m.service)
	name := types.NewPrincipalName(1, m.service.withoutRealm())
	c := client.NewWithKeytab(name.PrincipalNameString(), m.service.Realm, table, conf, client.DisablePAFXFAST(true))
	defer c.Destroy()
	if err := c.Login(); err != nil {
		return fmt.Errorf("log in to the KDC of %s as %v: %w", m.service.Realm, m.service, err)
	}
	ticket, key, err := c.GetServiceTicket(m.service.withoutRealm())
	if err != nil {
		return fmt.Errorf("get a ticket for %v: %w", m.service, err)
	}
	authenticator, err := types.NewAuthenticator(m.service.Realm, name)
	if err != nil {
		return err
	}
	sum := make([]byte, 24)
	sum[0] = 16
	authenticator.Cksum = types.Checksum{CksumType: checksumGSSAPI, Checksum: sum}
	request, err := messages.NewAPReq(ticket, key, authenticator)
	if err != nil {
		return err
	}
	der, err := request.Marshal()
	if err != nil {
		return err
	}
	if _, err := m.accept(frame(tokenAPReq, der), auth.Peer{}); err != nil {
		return fmt.Errorf("accept a ticket that the KDC has just made for %v: %w", m.service, err)
	}
	return nil
}

// newestOnly leaves the service's keys of the highest version, which are the KDC's. The
// library goes by the times of the entries, and those have only seconds.
func newestOnly(table *keytab.Keytab, service Name) {
	newest := uint32(0)
	kept := table.Entries[:0]
	for _, e := range table.Entries {
		if e.Principal.Realm == service.Realm && slices.Equal(e.Principal.Components, service.components()) {
			newest = max(newest, e.KVNO)
			kept = append(kept, e)
		}
	}
	table.Entries = kept
	kept = table.Entries[:0]
	for _, e := range table.Entries {
		if e.KVNO == newest {
			kept = append(kept, e)
		}
	}
	table.Entries = kept
}

func (n Name) withoutRealm() string {
	if n.Host != "" {
		return n.Service + "/" + n.Host
	}
	return n.Service
}
