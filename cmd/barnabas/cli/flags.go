package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// flagSet reads a command line in the manner of GNU: --name value, --name=value, -n value,
// -nvalue, flags and arguments in any order, -- before arguments that begin with a dash.
type flagSet struct {
	flags  []flagDef
	global bool // flags added now are global ones
}

// flagDef is one flag.
type flagDef struct {
	name     string
	short    byte
	value    string // placeholder of its value; "" for a switch
	usage    string
	global   bool
	set      func(string) error
	complete string // as in command.complete
}

func (d *flagDef) spelled() string {
	s := "    --" + d.name
	if d.short != 0 {
		s = "-" + string(d.short) + ", --" + d.name
	}
	if d.value != "" {
		s += " " + d.value
	}
	return s
}

func (f *flagSet) add(name string, short byte, value, usage string, set func(string) error) {
	f.flags = append(f.flags, flagDef{name: name, short: short, value: value, usage: usage, global: f.global, set: set})
}

// completes says what the value of the flag added last is; see command.complete.
func (f *flagSet) completes(what string) { f.flags[len(f.flags)-1].complete = what }

func (f *flagSet) string(p *string, name string, short byte, value, usage string) {
	f.add(name, short, value, usage, func(s string) error { *p = s; return nil })
}

func (f *flagSet) strings(p *[]string, name string, short byte, value, usage string) {
	f.add(name, short, value, usage, func(s string) error { *p = append(*p, s); return nil })
}

func (f *flagSet) bool(p *bool, name string, short byte, usage string) {
	f.add(name, short, "", usage, func(s string) (err error) {
		*p = true
		if s != "" {
			*p, err = strconv.ParseBool(s)
		}
		return err
	})
}

func (f *flagSet) int64(p *int64, name string, short byte, value, usage string) {
	f.add(name, short, value, usage, func(s string) (err error) {
		if *p, err = strconv.ParseInt(s, 10, 64); err != nil {
			err = fmt.Errorf("%q is not a whole number", s)
		}
		return err
	})
}

func (f *flagSet) int32(p *int32, name string, short byte, value, usage string) {
	f.add(name, short, value, usage, func(s string) error {
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", s)
		}
		*p = int32(n)
		return nil
	})
}

func (f *flagSet) duration(p *time.Duration, name string, short byte, value, usage string) {
	f.add(name, short, value, usage, func(s string) (err error) {
		if *p, err = time.ParseDuration(s); err != nil {
			err = fmt.Errorf("%q is not a duration such as 500ms, 10s or 1h30m", s)
		}
		return err
	})
}

func (f *flagSet) long(name string) *flagDef {
	for i := range f.flags {
		if f.flags[i].name == name {
			return &f.flags[i]
		}
	}
	return nil
}

func (f *flagSet) short(c byte) *flagDef {
	for i := range f.flags {
		if f.flags[i].short == c && c != 0 {
			return &f.flags[i]
		}
	}
	return nil
}

// parse sets the flags and returns what is not a flag.
func (f *flagSet) parse(args []string) (positional []string, err error) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return append(positional, args[i+1:]...), nil
		}
		if len(arg) < 2 || arg[0] != '-' {
			positional = append(positional, arg)
			continue
		}
		if arg == "--help" || arg == "-h" {
			return nil, errHelp
		}
		var d *flagDef
		var value string
		var has bool
		if name, ok := strings.CutPrefix(arg, "--"); ok {
			name, value, has = strings.Cut(name, "=")
			d = f.long(name)
		} else {
			d = f.short(arg[1])
			value = arg[2:]
			has = value != ""
			if d != nil && d.value == "" && has && value[0] != '=' {
				// Several switches in one word: -ei is -e -i.
				if err := d.set(""); err != nil {
					return nil, err
				}
				args[i] = "-" + value
				i--
				continue
			}
			value = strings.TrimPrefix(value, "=")
		}
		if d == nil {
			return nil, fmt.Errorf("there is no flag %s%s", arg, f.nearest(arg))
		}
		if d.value != "" && !has {
			if i++; i == len(args) {
				return nil, fmt.Errorf("%s needs a value: %s", arg, d.value)
			}
			value = args[i]
		}
		if err := d.set(value); err != nil {
			return nil, fmt.Errorf("--%s: %w", d.name, err)
		}
	}
	return positional, nil
}

// nearest suggests a flag for one that does not exist.
func (f *flagSet) nearest(arg string) string {
	name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	if len(name) < 2 {
		return ""
	}
	best, distance := "", len(name)/2+1
	for i := range f.flags {
		d := editDistance(name, f.flags[i].name)
		if strings.HasPrefix(f.flags[i].name, name) {
			d = 0
		}
		if d < distance {
			best, distance = f.flags[i].name, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean --" + best + "?"
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(diagonal+cost, row[j]+1, row[j+1]+1)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
