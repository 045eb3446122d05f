package cli

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func tokenCommand() *command {
	return &command{name: "token", summary: "create, list, renew and expire delegation tokens", sub: []*command{
		tokenCreateCommand(), tokenListCommand(), tokenRenewCommand(), tokenExpireCommand(),
	}}
}

// delegationToken is a token as brokers describe it. Its HMAC is a password.
type delegationToken struct {
	ID        string   `json:"id"`
	HMAC      string   `json:"hmac,omitempty"`
	Owner     string   `json:"owner"`
	Requester string   `json:"requester"`
	Renewers  []string `json:"renewers"`
	Issued    int64    `json:"issuedMs"`
	Expires   int64    `json:"expiresMs"`
	Max       int64    `json:"maxMs"`
}

func parsePrincipals(list []string) ([]auth.Principal, error) {
	var out []auth.Principal
	for _, text := range list {
		kind, name, ok := strings.Cut(strings.TrimSpace(text), ":")
		if !ok || kind == "" || name == "" {
			return nil, badUsage("expected a string in format principalType:principalName but got %s", text)
		}
		out = append(out, auth.Principal{Type: kind, Name: name})
	}
	return out, nil
}

// createToken asks for a token; lifetimeMs -1 is the broker's maximum. Without owner it is
// for whoever asks.
func (a *admin) createToken(ctx context.Context, owner, renewers []auth.Principal, lifetimeMs int64) (delegationToken, error) {
	req := kmsg.NewPtrCreateDelegationTokenRequest()
	req.MaxLifetimeMillis = lifetimeMs
	if len(owner) > 0 {
		req.OwnerPrincipalType, req.OwnerPrincipalName = &owner[0].Type, &owner[0].Name
	}
	for _, p := range renewers {
		r := kmsg.NewCreateDelegationTokenRequestRenewer()
		r.PrincipalType, r.PrincipalName = p.Type, p.Name
		req.Renewers = append(req.Renewers, r)
	}
	resp, err := request[*kmsg.CreateDelegationTokenResponse](ctx, a, req)
	if err != nil {
		return delegationToken{}, failed(err, "cannot create a token")
	}
	if err := refused(resp.ErrorCode, nil, "cannot create a token"); err != nil {
		return delegationToken{}, err
	}
	t := delegationToken{ID: resp.TokenID, HMAC: base64.StdEncoding.EncodeToString(resp.HMAC),
		Owner:     auth.Principal{Type: resp.PrincipalType, Name: resp.PrincipalName}.String(),
		Requester: auth.Principal{Type: resp.TokenRequesterPrincipalType, Name: resp.TokenRequesterPrincipalName}.String(),
		Renewers:  []string{}, Issued: resp.IssueTimestamp, Expires: resp.ExpiryTimestamp, Max: resp.MaxTimestamp}
	for _, p := range renewers {
		t.Renewers = append(t.Renewers, p.String())
	}
	return t, nil
}

// describeTokens returns the tokens that may be seen, of some owners or of all.
func (a *admin) describeTokens(ctx context.Context, owners []auth.Principal) ([]delegationToken, error) {
	req := kmsg.NewPtrDescribeDelegationTokenRequest()
	for _, p := range owners {
		o := kmsg.NewDescribeDelegationTokenRequestOwner()
		o.PrincipalType, o.PrincipalName = p.Type, p.Name
		req.Owners = append(req.Owners, o)
	}
	resp, err := request[*kmsg.DescribeDelegationTokenResponse](ctx, a, req)
	if err != nil {
		return nil, failed(err, "cannot list tokens")
	}
	if err := refused(resp.ErrorCode, nil, "cannot list tokens"); err != nil {
		return nil, err
	}
	list := []delegationToken{}
	for _, d := range resp.TokenDetails {
		t := delegationToken{ID: d.TokenID, HMAC: base64.StdEncoding.EncodeToString(d.HMAC),
			Owner:     auth.Principal{Type: d.PrincipalType, Name: d.PrincipalName}.String(),
			Requester: auth.Principal{Type: d.TokenRequesterPrincipalType, Name: d.TokenRequesterPrincipalName}.String(),
			Renewers:  []string{}, Issued: d.IssueTimestamp, Expires: d.ExpiryTimestamp, Max: d.MaxTimestamp}
		for _, r := range d.Renewers {
			t.Renewers = append(t.Renewers, auth.Principal{Type: r.PrincipalType, Name: r.PrincipalName}.String())
		}
		list = append(list, t)
	}
	slices.SortFunc(list, func(x, y delegationToken) int { return strings.Compare(x.ID, y.ID) })
	return list, nil
}

func (a *admin) renewToken(ctx context.Context, hmac []byte, periodMs int64) (expiresMs int64, err error) {
	req := kmsg.NewPtrRenewDelegationTokenRequest()
	req.HMAC, req.RenewTimeMillis = hmac, periodMs
	resp, err := request[*kmsg.RenewDelegationTokenResponse](ctx, a, req)
	if err != nil {
		return 0, failed(err, "cannot renew the token")
	}
	return resp.ExpiryTimestamp, refused(resp.ErrorCode, nil, "cannot renew the token")
}

// expireToken sets a token's end; a negative period is now.
func (a *admin) expireToken(ctx context.Context, hmac []byte, periodMs int64) (expiresMs int64, err error) {
	req := kmsg.NewPtrExpireDelegationTokenRequest()
	req.HMAC, req.ExpiryPeriodMillis = hmac, periodMs
	resp, err := request[*kmsg.ExpireDelegationTokenResponse](ctx, a, req)
	if err != nil {
		return 0, failed(err, "cannot expire the token")
	}
	return resp.ExpiryTimestamp, refused(resp.ErrorCode, nil, "cannot expire the token")
}

func tokenCreateCommand() *command {
	var owner string
	var renewers []string
	var lifetime time.Duration
	return &command{
		name: "create", summary: "Create a delegation token",
		detail: `
It prints the token's id and HMAC: with SCRAM, the id is the user, the HMAC the password, and tokenauth=true stands in
sasl.jaas.config. Tokens can only be made over SASL or with a client certificate, and not by a client that used a token.`,
		flags: func(f *flagSet) {
			f.string(&owner, "owner", 0, "PRINCIPAL", "who the token stands for, if not you")
			f.strings(&renewers, "renewer", 0, "PRINCIPAL", "who else may renew it; may be repeated")
			f.duration(&lifetime, "max-lifetime", 0, "DURATION", "its longest life; the broker's delegation.token.max.lifetime.ms if not given")
		},
		run: func(e *env, _ []string) error {
			var owners []auth.Principal
			if owner != "" {
				var err error
				if owners, err = parsePrincipals([]string{owner}); err != nil {
					return err
				}
			}
			who, err := parsePrincipals(renewers)
			if err != nil {
				return err
			}
			lifetimeMs := int64(-1)
			if lifetime > 0 {
				lifetimeMs = lifetime.Milliseconds()
			}
			return e.asking(func(ctx context.Context, a *admin) error {
				t, err := a.createToken(ctx, owners, who, lifetimeMs)
				if err != nil {
					return err
				}
				return e.done(t, "created token "+t.ID+" of "+t.Owner, "hmac: "+t.HMAC, "expires: "+timestamp(t.Expires)+", at the latest "+timestamp(t.Max))
			})
		},
	}
}

func tokenListCommand() *command {
	var owners []string
	var secrets bool
	return &command{
		name: "list", summary: "List delegation tokens",
		flags: func(f *flagSet) {
			f.strings(&owners, "owner", 0, "PRINCIPAL", "only tokens of this owner; may be repeated")
			f.bool(&secrets, "show-hmac", 0, "with their HMACs, each of which is as good as a password")
		},
		run: func(e *env, _ []string) error {
			who, err := parsePrincipals(owners)
			if err != nil {
				return err
			}
			return e.asking(func(ctx context.Context, a *admin) error {
				list, err := a.describeTokens(ctx, who)
				if err != nil {
					return err
				}
				if !secrets {
					for i := range list {
						list[i].HMAC = ""
					}
				}
				return e.show(list, func(w io.Writer) error {
					headings := []string{"TOKEN", "OWNER", "REQUESTER", "RENEWERS", "EXPIRES", "MAX"}
					if secrets {
						headings = append(headings, "HMAC")
					}
					t := newTable(headings...)
					for _, d := range list {
						row := []string{d.ID, d.Owner, d.Requester, textOrDash(strings.Join(d.Renewers, ",")), timestamp(d.Expires), timestamp(d.Max)}
						if secrets {
							row = append(row, d.HMAC)
						}
						t.row(row...)
					}
					return t.writeTo(w)
				})
			})
		},
	}
}

// tokenHMAC is where a token's HMAC comes from: a token is named by its id and looked up,
// or its HMAC is read from standard input.
type tokenHMAC struct{ stdin bool }

func (h *tokenHMAC) flags(f *flagSet) {
	f.bool(&h.stdin, "hmac-stdin", 0, "read the token's HMAC from standard input in place of naming the token")
}

func (h *tokenHMAC) find(ctx context.Context, e *env, a *admin, args []string) ([]byte, error) {
	if h.stdin == (len(args) == 1) {
		return nil, badUsage("it needs the id of a token, or --hmac-stdin")
	}
	text := ""
	if h.stdin {
		text = strings.TrimSpace(e.answer())
	} else {
		list, err := a.describeTokens(ctx, nil)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(list, func(t delegationToken) bool { return t.ID == args[0] })
		if i < 0 || list[i].HMAC == "" {
			return nil, &failure{what: "there is no token " + args[0] + ", or you may not see it", do: "--hmac-stdin takes its HMAC instead."}
		}
		text = list[i].HMAC
	}
	hmac, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(hmac) == 0 {
		return nil, errors.New("the HMAC is not base64")
	}
	return hmac, nil
}

func tokenRenewCommand() *command {
	t := tokenTime{flag: "period", usage: "from now on; the broker's delegation.token.expiry.time.ms if not given", set: (*admin).renewToken}
	return &command{
		name: "renew", args: "[TOKEN]", maxArgs: 1, summary: "Renew a delegation token", flags: t.flags, run: t.run,
	}
}

func tokenExpireCommand() *command {
	t := tokenTime{flag: "in", usage: "from now; at once if not given", otherwise: "the token is gone", set: (*admin).expireToken}
	return &command{
		name: "expire", args: "[TOKEN]", maxArgs: 1, summary: "End a delegation token, now or later", flags: t.flags, run: t.run,
	}
}

// tokenTime is a command that sets when a token ends.
type tokenTime struct {
	flag, usage string
	set         func(a *admin, ctx context.Context, hmac []byte, periodMs int64) (expiresMs int64, err error)
	otherwise   string // what to say if no time is given, where it is not the time

	hmac   tokenHMAC
	period time.Duration
}

func (t *tokenTime) flags(f *flagSet) {
	t.hmac.flags(f)
	f.duration(&t.period, t.flag, 0, "DURATION", t.usage)
}

func (t *tokenTime) run(e *env, args []string) error {
	return e.asking(func(ctx context.Context, a *admin) error {
		hmac, err := t.hmac.find(ctx, e, a, args)
		if err != nil {
			return err
		}
		periodMs := int64(-1)
		if t.period > 0 {
			periodMs = t.period.Milliseconds()
		}
		at, err := t.set(a, ctx, hmac, periodMs)
		if err != nil {
			return err
		}
		line := "the token expires at " + timestamp(at)
		if periodMs < 0 && t.otherwise != "" {
			line = t.otherwise
		}
		return e.done(map[string]int64{"expiresMs": at}, line)
	})
}
