package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ValidKind is the kind of a rule on values.
type ValidKind int8

// The kinds of rules.
const (
	ValidAny ValidKind = iota
	ValidRange
	ValidOneOf
	ValidOneOfFold
	ValidListOf
	ValidNonEmpty
	ValidNotNull
	ValidVersion
	ValidThrottledReplicas
	ValidOffsetReset
)

const noMax = math.MaxFloat64

// Valid is the rule that a value of a key must keep, as data.
type Valid struct {
	Kind     ValidKind
	Min, Max float64  // of ValidRange, both allowed; Max noMax means no upper bound
	Values   []string // of ValidOneOf, ValidOneOfFold, ValidListOf
	Or       []string // values allowed beside the range
	Text     string   // how Apache writes the rule, where it is not derived
}

// String returns the rule as Kafka's own documentation writes it, or "" if any value will do.
func (v Valid) String() string {
	switch {
	case v.Text != "":
		return v.Text
	case v.Kind == ValidRange && v.Max == noMax:
		return fmt.Sprintf("[%s,...]", number(v.Min))
	case v.Kind == ValidRange:
		return fmt.Sprintf("[%s,...,%s]", number(v.Min), number(v.Max))
	case v.Kind == ValidOneOf || v.Kind == ValidListOf:
		return "[" + strings.Join(v.Values, ", ") + "]"
	case v.Kind == ValidOneOfFold:
		return "(case insensitive) [" + strings.Join(v.Values, ", ") + "]"
	case v.Kind == ValidNonEmpty:
		return "not empty"
	case v.Kind == ValidNotNull:
		return "not null"
	case v.Kind == ValidVersion:
		return "a Kafka version from 0.8.0 on, e.g. 2.8 or 2.8-IV1"
	case v.Kind == ValidThrottledReplicas:
		return "[partitionId]:[brokerId],[partitionId]:[brokerId],... or *"
	case v.Kind == ValidOffsetReset:
		return "[latest, earliest, by_duration:PnDTnHnMn.nS]"
	}
	return ""
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
