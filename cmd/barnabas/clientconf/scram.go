package clientconf

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/sasl"
)

const (
	scramMaxBytes      = 4 << 10 // of a message of the server's
	scramMaxIterations = 1_000_000
)

// boundedSCRAM is SCRAM that does not work for as long as a server likes: who is asked for
// more iterations than anybody keeps passwords with, refuses. The library sets no bound.
type boundedSCRAM struct{ sasl.Mechanism }

// Authenticate begins a session.
func (m boundedSCRAM) Authenticate(ctx context.Context, host string) (sasl.Session, []byte, error) {
	s, first, err := m.Mechanism.Authenticate(ctx, host)
	if err != nil {
		return nil, nil, err
	}
	return boundedSCRAMSession{s}, first, nil
}

type boundedSCRAMSession struct{ sasl.Session }

// Challenge looks at the server's message before the library does.
func (s boundedSCRAMSession) Challenge(message []byte) (bool, []byte, error) {
	if len(message) > scramMaxBytes {
		return false, nil, errors.New("SCRAM: the server's message is too long")
	}
	for _, field := range strings.Split(string(message), ",") {
		if count, ok := strings.CutPrefix(field, "i="); ok {
			if n, err := strconv.Atoi(count); err != nil || n > scramMaxIterations {
				return false, nil, fmt.Errorf("SCRAM: the server asks for more than %d iterations", scramMaxIterations)
			}
		}
	}
	return s.Session.Challenge(message)
}
