package cli

import (
	"errors"
	"fmt"
	"strings"
)

// command is a node of the tree: it has subcommands, or it runs.
type command struct {
	name     string
	args     string // its positional arguments, as help shows them
	summary  string
	detail   string // more for its own help, if there is more to say
	minArgs  int
	maxArgs  int      // -1: any number
	complete []string // what each positional argument is: "topic", "group", or words split by "|"; the last repeats
	flags    func(*flagSet)
	run      func(*env, []string) error
	sub      []*command
}

var (
	errHelp        = errors.New("help")
	errSilentUsage = errors.New("usage") // already explained
	errFound       = errors.New("found") // already shown
)

// usageError is a command line that makes no sense.
type usageError struct{ path, message string }

func (e *usageError) Error() string { return e.message }

// badUsage is for commands whose flags or arguments do not go together.
func badUsage(format string, args ...any) error {
	return &usageError{message: fmt.Sprintf(format, args...)}
}

func isHelp(arg string) bool { return arg == "-h" || arg == "--help" || arg == "help" }

func (c *command) find(name string) *command {
	for _, sub := range c.sub {
		if sub.name == name {
			return sub
		}
	}
	return nil
}

func (c *command) subNames() []string {
	var names []string
	for _, sub := range c.sub {
		if sub.summary != "" {
			names = append(names, sub.name)
		}
	}
	return names
}

func (c *command) checkArgs(args []string) error {
	switch {
	case len(args) < c.minArgs:
		return fmt.Errorf("it needs %s", c.args)
	case c.maxArgs >= 0 && len(args) > c.maxArgs:
		return fmt.Errorf("%q is one argument too many", args[c.maxArgs])
	}
	return nil
}

// allFlags are the flags of a command, its own first.
func (c *command) allFlags() *flagSet {
	f := &flagSet{}
	if c.flags != nil {
		c.flags(f)
	}
	(&env{getenv: func(string) string { return "" }}).globalFlags(f)
	return f
}

func (c *command) help(path string) string {
	var b strings.Builder
	if len(c.sub) > 0 {
		fmt.Fprintf(&b, "Usage: %s COMMAND\n\n", path)
		for _, sub := range c.sub {
			fmt.Fprintf(&b, "  %-16s %s\n", sub.name, sub.summary)
		}
		fmt.Fprintf(&b, "\n%s COMMAND --help tells more.\n", path)
		return b.String()
	}
	fmt.Fprintf(&b, "Usage: %s", path)
	if c.args != "" {
		fmt.Fprintf(&b, " %s", c.args)
	}
	fmt.Fprintf(&b, " [flags]\n\n%s.\n", c.summary)
	if c.detail != "" {
		fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(c.detail))
	}
	b.WriteString("\nFlags:\n")
	f := c.allFlags()
	width := 0
	for i := range f.flags {
		width = max(width, len(f.flags[i].spelled()))
	}
	for i := range f.flags {
		fmt.Fprintf(&b, "  %-*s  %s\n", width, f.flags[i].spelled(), f.flags[i].usage)
	}
	return b.String()
}
