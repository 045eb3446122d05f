package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// completeCommand is what the shells' scripts call: its arguments are the words after
// the program's name, the last being the one to complete. It answers one candidate a line.
const completeCommand = "__complete"

// completionWait bounds how long a shell hangs on a cluster that does not answer.
const completionWait = time.Second

func completionCommand() *command {
	return &command{
		name: "completion", args: "bash|zsh|fish", minArgs: 1, maxArgs: 1, summary: "print a script that completes commands, flags, topics and groups",
		detail: `
bash:  source <(barnabas completion bash)        in ~/.bashrc
zsh:   source <(barnabas completion zsh)         in ~/.zshrc, after compinit
fish:  barnabas completion fish | source         in ~/.config/fish/config.fish`,
		complete: []string{"bash|zsh|fish"},
		run: func(e *env, args []string) error {
			script := ""
			switch args[0] {
			case "bash":
				script = bashCompletion
			case "zsh":
				script = zshCompletion
			case "fish":
				script = fishCompletion
			default:
				return badUsage("there is no completion for %q; there is for bash, zsh and fish", args[0])
			}
			_, err := io.WriteString(e.stdout, script)
			return err
		},
	}
}

const bashCompletion = `_barnabas() {
  local cur words
  cur="${COMP_WORDS[COMP_CWORD]}"
  words=("${COMP_WORDS[@]:1:COMP_CWORD-1}")
  local IFS=$'\n'
  COMPREPLY=($(barnabas __complete "${words[@]}" "$cur" 2>/dev/null))
}
complete -o default -F _barnabas barnabas
`

const zshCompletion = `_barnabas() {
  local -a candidates
  candidates=("${(@f)$(barnabas __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  compadd -a candidates
}
compdef _barnabas barnabas
`

const fishCompletion = `complete -c barnabas -f -a '(barnabas __complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
`

// complete prints what the last word may become.
func (e *env) complete(words []string) {
	if len(words) == 0 {
		words = []string{""}
	}
	last := words[len(words)-1]
	for _, candidate := range e.candidates(words[:len(words)-1], last) {
		if strings.HasPrefix(candidate, last) {
			fmt.Fprintln(e.stdout, candidate)
		}
	}
}

func (e *env) candidates(before []string, last string) []string {
	c := root()
	for len(c.sub) > 0 {
		if len(before) == 0 {
			names := c.subNames()
			if c.name == "barnabas" {
				names = append(names, "start", "doctor", "version", "help")
			}
			return names
		}
		if c = c.find(before[0]); c == nil {
			return nil
		}
		before = before[1:]
	}
	f := &flagSet{}
	if c.flags != nil {
		c.flags(f)
	}
	e.globalFlags(f)
	if len(before) > 0 {
		if d := f.spelledBy(before[len(before)-1]); d != nil && d.value != "" {
			before = before[:len(before)-1]
			f.parse(slices.Clone(before))
			return e.values(d.complete, d.value)
		}
	}
	if strings.HasPrefix(last, "-") {
		names := []string{"--help"}
		for i := range f.flags {
			names = append(names, "--"+f.flags[i].name)
		}
		return names
	}
	positional, _ := f.parse(slices.Clone(before))
	if len(c.complete) == 0 {
		return nil
	}
	return e.values(c.complete[min(len(positional), len(c.complete)-1)], "")
}

// spelledBy returns the flag that a word names without giving its value.
func (f *flagSet) spelledBy(word string) *flagDef {
	if name, ok := strings.CutPrefix(word, "--"); ok {
		return f.long(name)
	}
	if len(word) == 2 && word[0] == '-' {
		return f.short(word[1])
	}
	return nil
}

// values lists what a value can be: names from the cluster, or the words of a list.
func (e *env) values(what, placeholder string) []string {
	switch what {
	case "topic", "group":
		e.timeout = completionWait
		var names []string
		e.asking(func(ctx context.Context, a *admin) (err error) {
			if what == "topic" {
				m, err := a.topics(ctx)
				for _, t := range m.Topics.Sorted() {
					if !t.IsInternal {
						names = append(names, t.Topic)
					}
				}
				return err
			}
			for _, shard := range a.raw.RequestSharded(ctx, kmsg.NewPtrListGroupsRequest()) {
				if shard.Err == nil {
					for _, g := range shard.Resp.(*kmsg.ListGroupsResponse).Groups {
						names = append(names, g.Group)
					}
				}
			}
			slices.Sort(names)
			return nil
		})
		return names
	case "":
		if strings.Contains(placeholder, "|") {
			return strings.Split(placeholder, "|")
		}
		return nil
	}
	return strings.Split(what, "|")
}
