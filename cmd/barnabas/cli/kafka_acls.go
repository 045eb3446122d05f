package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/barnabas-broker/barnabas/acl"
)

// runKafkaACLs is kafka-acls.
func runKafkaACLs(e *env, args []string) error {
	var o aclOptions
	var add, remove, list bool
	var controllers string
	f := e.newToolFlags()
	f.string(&controllers, "bootstrap-controller", 0, "HOST:PORT,...", "controllers to ask first; taken as brokers")
	f.bool(&add, "add", 0, "create ACLs")
	f.bool(&remove, "remove", 0, "delete ACLs")
	f.bool(&list, "list", 0, "list ACLs")
	f.strings(&o.principals, "principal", 0, "PRINCIPAL", "with --list: only ACLs of this principal")
	f.bool(&o.force, "force", 0, "do not ask")
	o.principalFlags(&f.flagSet)
	o.resourceFlags(&f.flagSet, anyPatterns)
	if e.bootstrap == "" {
		for i, arg := range args {
			if arg == "--bootstrap-controller" && i+1 < len(args) {
				e.bootstrap = args[i+1]
			}
		}
	}
	if err := e.parseTool(f, args); err != nil {
		return err
	}
	if bools(add, remove, list) != 1 {
		return &usageError{message: "Command must include exactly one action: --list, --add, --remove. "}
	}
	if len(o.principals) > 0 && !list {
		return &usageError{message: "The --principal option is only available if --list is set"}
	}
	var err error
	switch {
	case add:
		err = e.kafkaAddACLs(&o)
	case remove:
		err = e.kafkaRemoveACLs(&o)
	default:
		err = e.kafkaListACLs(&o)
	}
	if usage, ok := err.(*usageError); ok {
		return usage
	}
	if err != nil {
		return &toolError{text: "Error while executing ACL command: " + e.explain(flatten(err)[0]).Error(), stdout: true}
	}
	return nil
}

func entryLines(list []acl.Binding) string {
	var lines []string
	for i := range list {
		lines = append(lines, "\t"+entryText(&list[i]))
	}
	return strings.Join(lines, "\n")
}

func (e *env) kafkaAddACLs(o *aclOptions) error {
	groups, err := o.grouped(true)
	if err != nil {
		return err
	}
	return e.asking(func(ctx context.Context, a *admin) error {
		for i := range groups {
			fmt.Fprintf(e.stdout, "Adding ACLs for resource `%s`: \n %s \n\n", groups[i].pattern, entryLines(groups[i].entries))
			if err := a.createACLs(ctx, groups[i].bindings()); err != nil {
				return err
			}
		}
		return nil
	})
}

func (e *env) kafkaRemoveACLs(o *aclOptions) error {
	groups, err := o.grouped(false)
	if err != nil {
		return err
	}
	for i := range groups {
		g := &groups[i]
		question := fmt.Sprintf("Are you sure you want to delete all ACLs for resource filter `%s`? (y/n)", g.pattern)
		if len(g.entries) > 0 {
			question = fmt.Sprintf("Are you sure you want to remove ACLs: \n %s \n from resource filter `%s`? (y/n)", entryLines(g.entries), g.pattern)
		}
		if !o.force {
			fmt.Fprintln(e.stdout, question)
			if !strings.EqualFold(e.answer(), "y") {
				continue
			}
		}
		err := e.asking(func(ctx context.Context, a *admin) error {
			_, err := a.deleteACLs(ctx, g.filters())
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *env) kafkaListACLs(o *aclOptions) error {
	p, err := o.patternType(false)
	if err != nil {
		return err
	}
	if len(o.allowPrincipals)+len(o.denyPrincipals)+len(o.allowHosts)+len(o.denyHosts) > 0 || o.producer || o.consumer {
		return &usageError{message: `Option "[list]" can't be used with the options for adding`}
	}
	principals := o.principals
	o.principals = nil
	return e.asking(func(ctx context.Context, a *admin) error {
		list, err := a.selectACLs(ctx, o.selection(p))
		if err != nil {
			return err
		}
		if len(principals) == 0 {
			e.printKafkaACLs(list)
		}
		for _, principal := range principals {
			fmt.Fprintf(e.stdout, "ACLs for principal `%s`\n", principal)
			var own []acl.Binding
			for _, b := range list {
				if b.Principal == principal {
					own = append(own, b)
				}
			}
			e.printKafkaACLs(own)
		}
		return nil
	})
}

// printKafkaACLs prints ACLs by pattern.
func (e *env) printKafkaACLs(list []acl.Binding) {
	for len(list) > 0 {
		first, n := list[0], 1
		for n < len(list) && list[n].ResourceType == first.ResourceType && list[n].ResourceName == first.ResourceName && list[n].PatternType == first.PatternType {
			n++
		}
		pattern := aclPattern{first.ResourceType, &first.ResourceName, first.PatternType}
		fmt.Fprintf(e.stdout, "Current ACLs for resource `%s`: \n %s \n\n", pattern, entryLines(list[:n]))
		list = list[n:]
	}
}
