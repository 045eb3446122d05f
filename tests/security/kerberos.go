package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/barnabas-broker/barnabas/tests/peers"
)

const (
	realm      = "TEST.BARNABAS"
	otherRealm = "OTHER.BARNABAS"
	service    = "kafka/localhost"
)

// kdc is MIT's key distribution center for two realms that do not know of each other.
type kdc struct {
	dir string
	env []string
	cmd *exec.Cmd
}

func startKDC(dir string) (*kdc, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	ports, err := peers.FreePorts(2)
	if err != nil {
		return nil, err
	}
	k := &kdc{dir: dir}
	k.env = append(os.Environ(), "KRB5_CONFIG="+k.conf(), "KRB5_KDC_PROFILE="+k.path("kdc.conf"))
	conf, kdcConf := `[libdefaults]
 default_realm = DEFAULT
 dns_lookup_kdc = false
 dns_lookup_realm = false
 rdns = false
 dns_canonicalize_hostname = false
 udp_preference_limit = 1
[domain_realm]
 localhost = DEFAULT
[realms]
`, "[kdcdefaults]\n kdc_listen = \"\"\n[realms]\n"
	realms := []string{realm, otherRealm}
	for i, r := range realms {
		conf += fmt.Sprintf(" %s = {\n  kdc = 127.0.0.1:%d\n }\n", r, ports[i])
		kdcConf += fmt.Sprintf(" %s = {\n  kdc_tcp_listen = 127.0.0.1:%d\n  database_name = %s\n  key_stash_file = %s\n  supported_enctypes = aes256-cts:normal aes128-cts:normal\n }\n",
			r, ports[i], k.path(r), k.path(r+".stash"))
	}
	if err := os.WriteFile(k.path("kdc.conf"), []byte(kdcConf), 0o600); err != nil {
		return nil, err
	}
	for _, r := range realms {
		if err := os.WriteFile(k.confOf(r), []byte(strings.ReplaceAll(conf, "DEFAULT", r)), 0o600); err != nil {
			return nil, err
		}
		if err := k.run("", "kdb5_util", "create", "-s", "-r", r, "-P", "master"); err != nil {
			return nil, err
		}
	}
	k.cmd = exec.Command("krb5kdc", "-n", "-r", realm, "-r", otherRealm)
	k.cmd.Env = k.env
	k.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := k.cmd.Start(); err != nil {
		return nil, err
	}
	for _, p := range ports {
		if err := waitFor(fmt.Sprintf("127.0.0.1:%d", p)); err != nil {
			k.stop()
			return nil, err
		}
	}
	return k, nil
}

func waitFor(addr string) error {
	var err error
	for range 400 {
		var c net.Conn
		if c, err = net.Dial("tcp", addr); err == nil {
			return c.Close()
		}
		time.Sleep(25 * time.Millisecond)
	}
	return err
}

func (k *kdc) stop() {
	k.cmd.Process.Kill()
	k.cmd.Wait()
}

func (k *kdc) path(name string) string { return filepath.Join(k.dir, name) }
func (k *kdc) conf() string            { return k.confOf(realm) }

// confOf is what a machine of a realm has, on which the broker's host is of that realm too.
func (k *kdc) confOf(of string) string { return k.path("krb5." + of + ".conf") }

func (k *kdc) keytab(principal, of string) string {
	return k.path(strings.ReplaceAll(principal, "/", "_") + "." + of + ".keytab")
}
func (k *kdc) tickets(principal, of string) string { return k.path(principal + "." + of + ".tickets") }

func (k *kdc) run(input, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Stdin = k.env, strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, out)
	}
	return nil
}

// add makes a principal of a realm and its key table; a password "" is a random key.
func (k *kdc) add(principal, of, password string) error {
	option := "-randkey"
	if password != "" {
		option = "-pw " + password
	}
	err := k.run("", "kadmin.local", "-r", of, "-q", fmt.Sprintf("addprinc %s %s@%s", option, principal, of))
	return errors.Join(err, k.run("", "kadmin.local", "-r", of, "-q",
		fmt.Sprintf("ktadd -norandkey -k %s %s@%s", k.keytab(principal, of), principal, of)))
}

// kinit gets tickets for clients that read them from a file.
func (k *kdc) kinit(principal, of string) error {
	return k.run("", "kinit", "-c", "FILE:"+k.tickets(principal, of), "-k", "-t", k.keytab(principal, of), principal+"@"+of)
}

// ticket is what a client shows, with the key that it shares with the service.
type ticket struct {
	ticket messages.Ticket
	key    types.EncryptionKey
	realm  string
	client types.PrincipalName
}

// ask gets a ticket for a service from the KDC of a realm.
func (k *kdc) ask(principal, of, service string) (*ticket, error) {
	conf, err := config.Load(k.confOf(of))
	if err != nil {
		return nil, err
	}
	keys, err := keytab.Load(k.keytab(principal, of))
	if err != nil {
		return nil, err
	}
	c := client.NewWithKeytab(principal, of, keys, conf, client.DisablePAFXFAST(true))
	defer c.Destroy()
	if err := c.Login(); err != nil {
		return nil, err
	}
	t, key, err := c.GetServiceTicket(service)
	return &ticket{t, key, of, c.Credentials.CName()}, err
}

// forge makes a ticket as only the KDC could, with the service's own key: for what a KDC
// does not hand out, such as tickets that ended long ago.
func (k *kdc) forge(principal, of string, start, end time.Time) (*ticket, error) {
	keys, err := keytab.Load(k.keytab(service, realm))
	if err != nil {
		return nil, err
	}
	clientName := types.NewPrincipalName(nametype.KRB_NT_PRINCIPAL, principal)
	serviceName := types.NewPrincipalName(nametype.KRB_NT_SRV_INST, service)
	kvno := 0
	for _, e := range keys.Entries {
		kvno = max(kvno, int(e.KVNO))
	}
	t, key, err := messages.NewTicket(clientName, of, serviceName, realm, types.NewKrbFlags(), keys, etypeID.AES256_CTS_HMAC_SHA1_96, kvno, start, start, end, end)
	return &ticket{t, key, of, clientName}, err
}

// firstToken is the start of a GSSAPI exchange without mutual authentication.
func (t *ticket) firstToken() ([]byte, error) {
	authenticator, err := types.NewAuthenticator(t.realm, t.client)
	if err != nil {
		return nil, err
	}
	sum := make([]byte, 24)
	sum[0], sum[20] = 16, gssapi.ContextFlagInteg|gssapi.ContextFlagConf
	authenticator.Cksum = types.Checksum{CksumType: 0x8003, Checksum: sum}
	request, err := messages.NewAPReq(t.ticket, t.key, authenticator)
	if err != nil {
		return nil, err
	}
	b, err := request.Marshal()
	if err != nil {
		return nil, err
	}
	oid := []byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2} // 1.2.840.113554.1.2.2
	b = slices.Concat(oid, []byte{1, 0}, b)
	return slices.Concat([]byte{0x60, 0x82, byte(len(b) >> 8), byte(len(b))}, b), nil
}

// secondToken chooses the layer that the server offered, under another name if one is given.
func (t *ticket) secondToken(offer []byte, authzid string) ([]byte, error) {
	var o gssapi.WrapToken
	if err := o.Unmarshal(offer, true); err != nil {
		return nil, err
	}
	if ok, err := o.Verify(t.key, keyusage.GSSAPI_ACCEPTOR_SEAL); !ok {
		return nil, err
	}
	choice, err := gssapi.NewInitiatorWrapToken(append([]byte{1, 0, 0, 0}, authzid...), t.key)
	if err != nil {
		return nil, err
	}
	return choice.Marshal()
}
