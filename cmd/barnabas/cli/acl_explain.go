package cli

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func aclExplainCommand() *command {
	var host, file string
	return &command{
		name: "explain", args: "PRINCIPAL OPERATION RESOURCE", minArgs: 3, maxArgs: 3,
		summary: "Say whether a principal may do something, which rule decides, and what would allow it",
		detail: `
PRINCIPAL is User:alice. RESOURCE is topic:NAME, group:NAME, transactional-id:ID, delegation-token:ID, user:PRINCIPAL or
cluster, or as the broker's log writes it, Topic:LITERAL:NAME. Without --host the answer is for an address that no ACL
names. It is worked out from the ACLs: no request is made as the principal. As with Apache, brokers do not show
super.users and allow.everyone.if.no.acl.found; they count if --config names the broker's file.

For example:
  barnabas acl explain User:alice Read topic:orders --host 10.0.0.1`,
		complete: []string{"", strings.Join(operationNames()[1:], "|"), "topic:|group:|cluster|transactional-id:|delegation-token:|user:"},
		flags: func(f *flagSet) {
			f.string(&host, "host", 0, "ADDRESS", "the address that the principal connects from")
			f.string(&file, "config", 0, "FILE", "the broker's server.properties, for super.users and allow.everyone.if.no.acl.found")
		},
		run: func(e *env, args []string) error {
			q, err := parseQuestion(args, host)
			if err != nil {
				return err
			}
			return e.asking(func(ctx context.Context, a *admin) error {
				settings, err := a.authorizerSettings(ctx, file)
				if err != nil {
					return err
				}
				authorizer, err := a.authorizer(ctx, settings.options)
				if err != nil {
					return err
				}
				return e.showExplanation(authorizer.Explain(q), settings.notes)
			})
		},
	}
}

// parseQuestion reads the arguments of explain.
func parseQuestion(args []string, host string) (q acl.Action, err error) {
	kind, name, ok := strings.Cut(args[0], ":")
	if !ok || kind == "" || name == "" {
		return q, badUsage("%q is no principal such as User:alice", args[0])
	}
	q.Principal = auth.Principal{Type: kind, Name: name}
	if q.Operation, err = parseOperation(args[1]); err != nil {
		return q, err
	}
	if q.Operation == acl.All {
		return q, badUsage("a request is for one operation, not for All")
	}
	if q.Resource, err = parseResource(args[2]); err != nil {
		return q, err
	}
	if !slices.Contains(q.Resource.Type.Operations(), q.Operation) {
		var names []string
		for _, op := range q.Resource.Type.Operations() {
			names = append(names, op.Name())
		}
		return q, badUsage("%s means nothing on a %s, only %s", q.Operation.Name(), q.Resource.Type.Name(), strings.Join(names, ", "))
	}
	if host != "" {
		if q.Host, err = netip.ParseAddr(host); err != nil {
			return q, badUsage("--host is an IP address, not %q", host)
		}
	}
	return q, nil
}

func parseResource(text string) (acl.Resource, error) {
	kind, name, _ := strings.Cut(text, ":")
	t := acl.ParseResourceType(kind)
	if strings.EqualFold(kind, "token") {
		t = acl.DelegationTokenResource
	}
	for _, pattern := range []string{"LITERAL:", "literal:", "Literal:"} { // as in the broker's log
		name = strings.TrimPrefix(name, pattern)
	}
	switch {
	case t == acl.ClusterResource:
		return acl.Cluster(), nil
	case t <= acl.AnyResource || name == "":
		return acl.Resource{}, badUsage("%q is no resource such as topic:orders, group:billing, cluster, transactional-id:t1, delegation-token:ID or user:User:alice", text)
	}
	return acl.Resource{Type: t, Name: name}, nil
}

// authorizerSettings is what stands above the ACLs, as far as the broker shows it.
type authorizerSettings struct {
	options acl.Options
	notes   []string // what could not be read, or is out of the ordinary
}

// authorizerSettings reads the settings of the authorizer from the broker's file, if there
// is one, and from any broker what it shows.
func (a *admin) authorizerSettings(ctx context.Context, file string) (s authorizerSettings, err error) {
	values := map[string]string{}
	if file != "" {
		if values, err = readProperties(file); err != nil {
			return s, err
		}
	} else {
		s.notes = append(s.notes, "Brokers do not show super.users and allow.everyone.if.no.acl.found: --config server.properties takes them into account.")
	}
	m, err := a.topics(ctx)
	if err != nil {
		return s, err
	}
	if len(m.Brokers) == 0 {
		return s, &failure{what: "the cluster names no broker"}
	}
	keys := []string{"barnabas.acl.dry.run", "barnabas.acl.principal.groups"}
	req := kmsg.NewPtrDescribeConfigsRequest()
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.ConfigNames = kmsg.ConfigResourceTypeBroker, number(m.Brokers[0].NodeID), keys
	req.Resources = append(req.Resources, r)
	resources, err := a.describeConfigs(ctx, req)
	if err != nil {
		s.notes = append(s.notes, "The broker does not show its settings: barnabas.acl.* are not taken into account.")
	}
	for _, r := range resources {
		for _, c := range r.Configs {
			if c.Value != nil {
				values[c.Name] = *c.Value
			}
		}
	}
	if s.options.SuperUsers, err = acl.ParseSuperUsers(values["super.users"]); err != nil {
		return s, &failure{what: "cannot read super.users", why: err.Error()}
	}
	if s.options.Groups, err = acl.ParseGroups(values["barnabas.acl.principal.groups"]); err != nil {
		return s, &failure{what: "cannot read barnabas.acl.principal.groups", why: err.Error()}
	}
	if s.options.AllowEveryoneIfNoACLFound, err = isOn(values, "allow.everyone.if.no.acl.found"); err != nil {
		return s, err
	}
	if s.options.DryRun, err = isOn(values, "barnabas.acl.dry.run"); err != nil {
		return s, err
	}
	if s.options.DryRun {
		s.notes = append(s.notes, "The broker only reports: barnabas.acl.dry.run=true lets everything pass.")
	}
	return s, nil
}

// isOn reads a switch of the broker as the broker does; without a value it has its default.
func isOn(values map[string]string, name string) (bool, error) {
	key := config.LookupBroker(name)
	value, ok := values[name]
	if !ok {
		value = key.Default
	}
	on, err := key.Bool(value)
	if err != nil {
		return false, &failure{what: fmt.Sprintf("cannot use %s=%s", name, value), why: err.Error()}
	}
	return on, nil
}

// readProperties reads a properties file; of a key that is there twice the last counts.
func readProperties(path string) (map[string]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, &failure{what: "cannot read the file", why: err.Error()}
	}
	props, err := config.ParseProperties(data)
	if err != nil {
		return nil, &failure{what: "cannot use " + path, why: err.Error()}
	}
	values := map[string]string{}
	for _, p := range props {
		values[p.Name] = p.Value
	}
	return values, nil
}

// authorizer is one that decides as the broker's, from all ACLs there are.
func (a *admin) authorizer(ctx context.Context, options acl.Options) (*acl.StandardAuthorizer, error) {
	everything := acl.Everything
	list, err := a.describeACLs(ctx, &everything)
	if err != nil {
		return nil, err
	}
	authorizer := acl.NewStandardAuthorizer(options)
	authorizer.Swap(acl.NewSnapshot(slices.Values(list)))
	return authorizer, nil
}

// explanation is the result of explain.
type explanation struct {
	Principal  string          `json:"principal"`
	Operation  string          `json:"operation"`
	Resource   string          `json:"resource"`
	Host       string          `json:"host,omitempty"`
	Allowed    bool            `json:"allowed"`
	Rule       string          `json:"rule"`
	Why        string          `json:"why"`
	Considered []consideredACL `json:"considered"`
	Grant      string          `json:"grant,omitempty"`
	Notes      []string        `json:"notes,omitempty"`
}

type consideredACL struct {
	aclRow
	Decides bool   `json:"decides"`
	WhyNot  string `json:"whyNot,omitempty"`
}

func (e *env) showExplanation(x acl.Explanation, notes []string) error {
	out := explanation{Principal: x.Action.Principal.String(), Operation: x.Action.Operation.Name(), Resource: x.Action.Resource.String(),
		Allowed: !x.Decision.Refused(), Rule: x.Decision.Rule(), Why: x.Decision.Why(), Considered: []consideredACL{}, Grant: x.Grant, Notes: notes}
	if x.Action.Host.IsValid() {
		out.Host = x.Action.Host.String()
	}
	for _, c := range x.ACLs {
		out.Considered = append(out.Considered, consideredACL{newACLRow(c.Binding), x.Decision.Binding != nil && *c.Binding == *x.Decision.Binding, c.Why})
	}
	return e.show(out, func(w io.Writer) error {
		verdict, from := "is DENIED", ""
		if out.Allowed {
			verdict = "is allowed"
		}
		if out.Host != "" {
			from = " from " + out.Host
		}
		_, err := fmt.Fprintf(w, "%s %s on %s%s %s: %s.\n", printable(out.Principal), out.Operation,
			printable(resourceText(x.Action.Resource.Type, x.Action.Resource.Name)), from, verdict, out.Why)
		for _, c := range x.ACLs {
			mark, why := "  ", ""
			switch {
			case x.Decision.Binding != nil && *c.Binding == *x.Decision.Binding:
				mark = "* "
			case c.Why != "":
				why = "   (" + c.Why + ")"
			}
			fmt.Fprintln(w, mark+printable(aclText(c.Binding))+printable(why))
		}
		if out.Grant != "" {
			fmt.Fprintln(w, "To allow it: "+printable(out.Grant))
		}
		for _, n := range out.Notes {
			fmt.Fprintln(w, "Note: "+n)
		}
		return err
	})
}
