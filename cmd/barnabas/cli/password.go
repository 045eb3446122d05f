package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// passwordSource is where a password comes from. It never stands on the command line, where
// everybody on the machine could read it.
type passwordSource struct {
	file, variable  string
	stdin, generate bool
}

func (p *passwordSource) flags(f *flagSet) {
	f.string(&p.file, "password-file", 0, "FILE", "read the password from this file, without the line end")
	f.string(&p.variable, "password-env", 0, "NAME", "read the password from this environment variable")
	f.bool(&p.stdin, "password-stdin", 0, "read the password from standard input, without the line end")
	f.bool(&p.generate, "generate", 0, "make a password and show it")
}

const passwordDetail = `
The password is asked for on a terminal, or comes from --password-file, --password-env or --password-stdin.`

const passwordMaxBytes = 4096

// read returns the password, and whether it was made here and has to be shown.
func (p *passwordSource) read(e *env, user string) (password string, made bool, err error) {
	if n := bools(p.file != "", p.variable != "", p.stdin, p.generate); n > 1 {
		return "", false, badUsage("only one of --password-file, --password-env, --password-stdin and --generate")
	}
	switch {
	case p.generate:
		return rand.Text(), true, nil
	case p.file != "":
		data, err := os.ReadFile(p.file)
		if err != nil {
			return "", false, &failure{what: "cannot read the password", why: err.Error()}
		}
		password = string(data)
	case p.variable != "":
		password = e.getenv(p.variable)
	case p.stdin:
		data, err := io.ReadAll(io.LimitReader(e.stdin, passwordMaxBytes+1))
		if err != nil {
			return "", false, &failure{what: "cannot read the password", why: err.Error()}
		}
		password = string(data)
	default:
		if password, err = e.askPassword(user); err != nil {
			return "", false, err
		}
	}
	password = strings.TrimSuffix(strings.TrimSuffix(password, "\n"), "\r")
	if password == "" || len(password) > passwordMaxBytes {
		return "", false, &failure{what: "the password is empty, or longer than 4096 bytes"}
	}
	return password, false, nil
}

// askPassword asks twice on the terminal, which shows nothing meanwhile.
func (e *env) askPassword(user string) (string, error) {
	in, ok := e.stdin.(*os.File)
	if !ok {
		return "", errNoTerminal
	}
	before, err := unix.IoctlGetTermios(int(in.Fd()), unix.TCGETS)
	if err != nil {
		return "", errNoTerminal
	}
	silent := *before
	silent.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(int(in.Fd()), unix.TCSETS, &silent); err != nil {
		return "", err
	}
	defer unix.IoctlSetTermios(int(in.Fd()), unix.TCSETS, before)
	fmt.Fprintf(e.stderr, "Password of %s: ", user)
	first := e.answer()
	fmt.Fprint(e.stderr, "\nAgain: ")
	second := e.answer()
	fmt.Fprintln(e.stderr)
	if first != second {
		return "", &failure{what: "the passwords differ"}
	}
	return first, nil
}

var errNoTerminal = errors.New("there is no terminal to ask for the password: --password-file, --password-env or --password-stdin names another source")
