package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/barnabas-broker/barnabas/acl"
)

func aclLintCommand() *command {
	var adminURL string
	return &command{
		name: "lint", summary: "Look for ACLs that do nothing, or more than anybody is likely to mean",
		detail: `
It finds ACLs that can never match, that another one makes pointless, that are wider than anybody is likely to mean, that deny
only half, that lack a second one, or that are for topics that do not exist. It exits with 4 if it has found something.

Which ACLs have never decided anything is known only to the broker itself: --admin names its administration port
(barnabas.admin.listener), which has to be asked on the broker's own machine. That counts from the broker's start.`,
		flags: func(f *flagSet) {
			f.string(&adminURL, "admin", 0, "HOST:PORT", "also report ACLs that this broker has never used")
		},
		run: func(e *env, _ []string) error {
			return e.asking(func(ctx context.Context, a *admin) error {
				m, err := a.topics(ctx)
				if err != nil {
					return err
				}
				authorizer, err := a.authorizer(ctx, acl.Options{})
				if err != nil {
					return err
				}
				found := authorizer.Snapshot().Lint(acl.LintOptions{TopicExists: func(name string) bool { return m.Topics.Has(name) }})
				if adminURL != "" {
					unused, err := unusedACLs(ctx, adminURL)
					if err != nil {
						return &failure{what: "cannot ask the administration port", why: err.Error(), do: "barnabas.admin.listener says where it is; it answers on the broker's own machine."}
					}
					for i := range unused {
						found = append(found, acl.Finding{Kind: acl.Idle, Binding: &unused[i], Text: "has decided nothing since the broker started"})
					}
				}
				if err := e.showFindings(found); err != nil {
					return err
				}
				if len(found) > 0 {
					return errFound
				}
				return nil
			})
		},
	}
}

// finding is one line of lint's result.
type finding struct {
	Kind   string  `json:"kind"`
	ACL    aclRow  `json:"acl"`
	Text   string  `json:"text"`
	Other  *aclRow `json:"other,omitempty"`
	Delete string  `json:"delete,omitempty"` // the command that would remove it
}

func (e *env) showFindings(found []acl.Finding) error {
	list := []finding{}
	for _, f := range found {
		out := finding{Kind: f.Kind, ACL: newACLRow(f.Binding), Text: f.Text, Delete: f.Binding.DeleteCommand()}
		if f.Other != nil {
			other := newACLRow(f.Other)
			out.Other = &other
		}
		list = append(list, out)
	}
	return e.show(list, func(w io.Writer) error {
		if len(found) == 0 {
			_, err := fmt.Fprintln(w, "nothing found")
			return err
		}
		for _, f := range found {
			text := f.Text
			if f.Other != nil {
				text += ": " + aclText(f.Other)
			}
			if _, err := fmt.Fprintf(w, "%-10s %s\n           %s\n", f.Kind, printable(aclText(f.Binding)), printable(text)); err != nil {
				return err
			}
		}
		return nil
	})
}

// unusedACLs asks a broker's administration port.
func unusedACLs(ctx context.Context, address string) ([]acl.Binding, error) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(address, "/")+"/acls/unused", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered %s", resp.Status)
	}
	var list []aclRow
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<20)).Decode(&list); err != nil {
		return nil, err
	}
	var out []acl.Binding
	for _, r := range list {
		out = append(out, acl.Binding{ResourceType: acl.ParseResourceType(r.ResourceType), ResourceName: r.ResourceName,
			PatternType: acl.ParsePatternType(r.PatternType), Principal: r.Principal, Host: r.Host,
			Operation: acl.ParseOperation(r.Operation), Permission: acl.ParsePermission(r.Permission)})
	}
	return out, nil
}
