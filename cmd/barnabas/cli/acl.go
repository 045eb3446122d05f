package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/barnabas-broker/barnabas/acl"
)

func aclCommand() *command {
	return &command{name: "acl", summary: "list, create, delete, explain and check ACLs", sub: []*command{
		aclListCommand(), aclCreateCommand(), aclDeleteCommand(), aclExplainCommand(), aclLintCommand(),
	}}
}

// aclRow is an ACL as results show it.
type aclRow struct {
	ResourceType string `json:"resourceType"`
	ResourceName string `json:"resourceName"`
	PatternType  string `json:"patternType"`
	Principal    string `json:"principal"`
	Permission   string `json:"permission"`
	Operation    string `json:"operation"`
	Host         string `json:"host"`
}

func newACLRow(b *acl.Binding) aclRow {
	return aclRow{b.ResourceType.Name(), b.ResourceName, b.PatternType.Name(), b.Principal, b.Permission.Name(), b.Operation.Name(), b.Host}
}

// aclText is an ACL in one line for a person.
func aclText(b *acl.Binding) string {
	text := fmt.Sprintf("%s %s %s on %s %s", b.Permission.Name(), b.Principal, b.Operation.Name(), strings.ToLower(b.PatternType.Name()), resourceText(b.ResourceType, b.ResourceName))
	if b.Host != acl.Wildcard {
		text += " from " + b.Host
	}
	return text
}

func resourceText(t acl.ResourceType, name string) string {
	if t == acl.ClusterResource {
		return "cluster"
	}
	return strings.ToLower(t.Name()) + " " + name
}

func (e *env) showACLs(list []acl.Binding) error {
	rows := []aclRow{}
	for i := range list {
		rows = append(rows, newACLRow(&list[i]))
	}
	return e.show(rows, func(w io.Writer) error {
		t := newTable("RESOURCE", "NAME", "PATTERN", "PRINCIPAL", "PERMISSION", "OPERATION", "HOST")
		for _, r := range rows {
			t.row(r.ResourceType, r.ResourceName, r.PatternType, r.Principal, r.Permission, r.Operation, r.Host)
		}
		return t.writeTo(w)
	})
}

const anyPatterns = "literal|prefixed|any|match"

func aclListCommand() *command {
	var o aclOptions
	return &command{
		name: "list", summary: "List ACLs: all, those of resources, or those of principals",
		detail: `
--resource-pattern-type match finds all ACLs that cover a name: its own, those of prefixes of it, and those of *.`,
		flags: func(f *flagSet) {
			o.resourceFlags(f, anyPatterns)
			f.strings(&o.principals, "principal", 0, "PRINCIPAL", "only ACLs that are written for this principal; may be repeated")
		},
		run: func(e *env, _ []string) error {
			p, err := o.patternType(false)
			if err != nil {
				return err
			}
			return e.asking(func(ctx context.Context, a *admin) error {
				list, err := a.selectACLs(ctx, o.selection(p))
				if err != nil {
					return err
				}
				return e.showACLs(list)
			})
		},
	}
}

// selection is the filters of the resources and principals of the flags; without any it is
// everything.
func (o *aclOptions) selection(p acl.PatternType) []acl.Filter {
	var filters []acl.Filter
	for _, pattern := range o.patterns(p) {
		filters = append(filters, pattern.filter())
	}
	if len(filters) == 0 {
		filters = append(filters, acl.Everything)
	}
	if len(o.principals) == 0 {
		return filters
	}
	var out []acl.Filter
	for _, f := range filters {
		for i := range o.principals {
			f.Principal = &o.principals[i]
			out = append(out, f)
		}
	}
	return out
}

// selectACLs is describeACLs for several filters.
func (a *admin) selectACLs(ctx context.Context, filters []acl.Filter) ([]acl.Binding, error) {
	seen := map[acl.Binding]bool{}
	var all []acl.Binding
	for i := range filters {
		list, err := a.describeACLs(ctx, &filters[i])
		if err != nil {
			return nil, err
		}
		for _, b := range list {
			if !seen[b] {
				seen[b] = true
				all = append(all, b)
			}
		}
	}
	return all, nil
}

func aclCreateCommand() *command {
	var o aclOptions
	return &command{
		name: "create", summary: "Create ACLs", detail: `
For example:
  barnabas acl create --allow-principal User:alice --producer --topic orders
  barnabas acl create --allow-principal User:bob --consumer --topic orders --group billing
  barnabas acl create --deny-principal User:bob --deny-host 10.0.0.1 --operation Read --topic orders- --resource-pattern-type prefixed`,
		flags: func(f *flagSet) {
			o.principalFlags(f)
			o.resourceFlags(f, "literal|prefixed")
		},
		run: func(e *env, _ []string) error {
			groups, err := o.grouped(true)
			if err != nil {
				return err
			}
			var list []acl.Binding
			for i := range groups {
				list = append(list, groups[i].bindings()...)
			}
			return e.asking(func(ctx context.Context, a *admin) error {
				if err := a.createACLs(ctx, list); err != nil {
					return err
				}
				return e.showACLs(list)
			})
		},
	}
}

func aclDeleteCommand() *command {
	var o aclOptions
	return &command{
		name: "delete", summary: "Delete ACLs", detail: `
With --allow-principal or --deny-principal it deletes the very ACLs that the same flags create; with --principal all
that are written for that principal; otherwise all ACLs of the resources. It shows them and asks, unless --force is given.`,
		flags: func(f *flagSet) {
			o.principalFlags(f)
			o.resourceFlags(f, anyPatterns)
			f.strings(&o.principals, "principal", 0, "PRINCIPAL", "all ACLs that are written for this principal; may be repeated")
			f.bool(&o.force, "force", 0, "do not ask")
		},
		run: func(e *env, _ []string) error {
			filters, err := o.deletion()
			if err != nil {
				return err
			}
			return e.asking(func(ctx context.Context, a *admin) error {
				list, err := a.selectACLs(ctx, filters)
				if err != nil {
					return err
				}
				if len(list) > 0 && !o.force {
					for i := range list {
						fmt.Fprintln(e.stderr, aclText(&list[i]))
					}
					if !e.confirm(fmt.Sprintf("Delete %d ACLs? (y/n) ", len(list))) {
						return &failure{what: "nothing was deleted", do: "--force deletes without asking."}
					}
					// The answer may have taken long.
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(e.ctx, e.timeout)
					defer cancel()
				}
				gone, err := a.deleteACLs(ctx, filters)
				if err != nil {
					return err
				}
				return e.showACLs(gone)
			})
		},
	}
}

// deletion is what the flags select.
func (o *aclOptions) deletion() ([]acl.Filter, error) {
	if len(o.principals) > 0 {
		if len(o.allowPrincipals)+len(o.denyPrincipals) > 0 || o.producer || o.consumer {
			return nil, badUsage("--principal does not go with --allow-principal, --deny-principal, --producer and --consumer")
		}
		p, err := o.patternType(false)
		return o.selection(p), err
	}
	groups, err := o.grouped(false)
	if err != nil {
		return nil, err
	}
	var filters []acl.Filter
	for i := range groups {
		filters = append(filters, groups[i].filters()...)
	}
	return filters, nil
}

// confirm asks a question on standard error; y is yes.
func (e *env) confirm(question string) bool {
	fmt.Fprint(e.stderr, question)
	return strings.EqualFold(e.answer(), "y")
}

// answer reads one line of standard input.
func (e *env) answer() string {
	if e.lines == nil {
		e.lines = bufio.NewReader(e.stdin)
	}
	line, _ := e.lines.ReadString('\n')
	return strings.TrimRight(line, "\r\n")
}
