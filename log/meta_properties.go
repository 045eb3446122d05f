package log

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/barnabas-broker/barnabas/protocol"
)

// MetaPropertiesName is the file that says to which broker a data directory belongs.
const MetaPropertiesName = "meta.properties"

const metaPropertiesMaxSize = 1 << 20

// MetaProperties are the contents of meta.properties. Version 0 is what brokers write
// that keep their metadata in ZooKeeper: cluster.id and broker.id, either of which may be
// missing. Version 1 has cluster.id, node.id, and since 3.7 directory.id (KIP-858).
type MetaProperties struct {
	Version     int           // 0 or 1
	ClusterID   string        // "" if missing
	NodeID      int32         // broker.id or node.id; -1 if missing
	DirectoryID protocol.UUID // zero if missing
}

// ErrMetaProperties says that meta.properties cannot be understood.
var ErrMetaProperties = errors.New("meta.properties is invalid")

// ReadMetaProperties reads the file in dir. If there is none, the error is fs.ErrNotExist.
func ReadMetaProperties(fsys FS, dir string) (MetaProperties, error) {
	path := filepath.Join(dir, MetaPropertiesName)
	b, err := readFile(fsys, path, metaPropertiesMaxSize)
	if err != nil {
		return MetaProperties{}, fmt.Errorf("read meta.properties: %w", err)
	}
	p, err := ParseMetaProperties(b)
	if err != nil {
		return MetaProperties{}, fmt.Errorf("read %s: %w", path, err)
	}
	return p, nil
}

// WriteMetaProperties replaces the file in dir; a crash leaves the old one or the new one.
func WriteMetaProperties(fsys FS, dir string, p MetaProperties, now time.Time) error {
	if err := writeFileAtomically(fsys, filepath.Join(dir, MetaPropertiesName), AppendMetaProperties(nil, p, now)); err != nil {
		return fmt.Errorf("write meta.properties: %w", err)
	}
	return nil
}

// ParseMetaProperties reads the contents of the file.
func ParseMetaProperties(b []byte) (MetaProperties, error) {
	props, err := parseJavaProperties(b)
	if err != nil {
		return MetaProperties{}, fmt.Errorf("%w: %w", ErrMetaProperties, err)
	}
	p := MetaProperties{NodeID: -1, ClusterID: props["cluster.id"]}
	idKey := "broker.id"
	switch v := props["version"]; v {
	case "", "0":
	case "1":
		p.Version, idKey = 1, "node.id"
	default:
		return MetaProperties{}, fmt.Errorf("%w: version %.40q is unknown", ErrMetaProperties, v)
	}
	if id, ok := props[idKey]; ok {
		n, err := strconv.ParseInt(id, 10, 32)
		if err != nil {
			return MetaProperties{}, fmt.Errorf("%w: %s %.40q is not a number", ErrMetaProperties, idKey, id)
		}
		p.NodeID = int32(n)
	} else if p.Version == 1 {
		return MetaProperties{}, fmt.Errorf("%w: node.id is missing", ErrMetaProperties)
	}
	if p.Version == 1 && p.ClusterID == "" {
		return MetaProperties{}, fmt.Errorf("%w: cluster.id is missing", ErrMetaProperties)
	}
	if id, ok := props["directory.id"]; ok {
		if p.DirectoryID, err = protocol.ParseUUID(id); err != nil {
			return MetaProperties{}, fmt.Errorf("%w: directory.id: %w", ErrMetaProperties, err)
		}
	}
	return p, nil
}

// AppendMetaProperties appends the contents of the file to dst as Java writes them: an
// empty comment, a comment with the time, the properties.
func AppendMetaProperties(dst []byte, p MetaProperties, now time.Time) []byte {
	dst = append(dst, "#\n#"...)
	dst = now.AppendFormat(dst, "Mon Jan 02 15:04:05 MST 2006")
	dst = append(dst, '\n')
	idKey := "broker.id"
	if p.Version == 1 {
		idKey = "node.id"
	}
	if p.NodeID >= 0 {
		dst = appendProperty(dst, idKey, strconv.Itoa(int(p.NodeID)))
	}
	if !p.DirectoryID.IsZero() {
		dst = appendProperty(dst, "directory.id", p.DirectoryID.String())
	}
	dst = appendProperty(dst, "version", strconv.Itoa(p.Version))
	if p.ClusterID != "" {
		dst = appendProperty(dst, "cluster.id", p.ClusterID)
	}
	return dst
}

// appendProperty escapes the value as java.util.Properties does for a writer; the keys
// here need none.
func appendProperty(dst []byte, key, value string) []byte {
	dst = append(append(dst, key...), '=')
	for i, r := range value {
		switch {
		case r == ' ' && i == 0, r == '\\', r == '=', r == ':', r == '#', r == '!':
			dst = append(dst, '\\', byte(r))
		case r == '\t':
			dst = append(dst, '\\', 't')
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r == '\r':
			dst = append(dst, '\\', 'r')
		case r == '\f':
			dst = append(dst, '\\', 'f')
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '\n')
}

// parseJavaProperties reads a properties file: comments, = or : or blanks between key and
// value, backslash escapes, lines continued by a backslash. A later value of a key wins.
func parseJavaProperties(b []byte) (map[string]string, error) {
	props := make(map[string]string)
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(b))
	for len(text) > 0 {
		var line string
		line, text = cutLogicalLine(text)
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		end := keyEnd(line)
		key, err := unescapeProperty(line[:end])
		if err != nil {
			return nil, err
		}
		value := strings.TrimLeft(line[end:], " \t\f")
		if value != "" && (value[0] == '=' || value[0] == ':') {
			value = strings.TrimLeft(value[1:], " \t\f")
		}
		if props[key], err = unescapeProperty(value); err != nil {
			return nil, err
		}
	}
	return props, nil
}

// cutLogicalLine cuts a line, with those that continue it, off text.
func cutLogicalLine(text string) (line, rest string) {
	line, rest, _ = strings.Cut(text, "\n")
	line = strings.TrimLeft(line, " \t\f")
	if line != "" && (line[0] == '#' || line[0] == '!') || !isContinued(line) {
		return line, rest
	}
	var whole strings.Builder
	for isContinued(line) {
		whole.WriteString(line[:len(line)-1])
		line, rest, _ = strings.Cut(rest, "\n")
		line = strings.TrimLeft(line, " \t\f")
	}
	whole.WriteString(line)
	return whole.String(), rest
}

// isContinued says whether an odd number of backslashes ends the line.
func isContinued(line string) bool {
	return (len(line)-len(strings.TrimRight(line, "\\")))%2 == 1
}

func keyEnd(line string) int {
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case '=', ':', ' ', '\t', '\f':
			return i
		}
	}
	return len(line)
}

func unescapeProperty(s string) (string, error) {
	if !strings.Contains(s, "\\") {
		return s, nil
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			out.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 't':
			out.WriteByte('\t')
		case 'n':
			out.WriteByte('\n')
		case 'r':
			out.WriteByte('\r')
		case 'f':
			out.WriteByte('\f')
		case 'u':
			if len(s) < i+5 {
				return "", fmt.Errorf("%.40q ends in the middle of an escape", s)
			}
			r, err := strconv.ParseUint(s[i+1:i+5], 16, 32)
			if err != nil {
				return "", fmt.Errorf("%.40q has an escape that is not hexadecimal", s)
			}
			out.WriteRune(rune(r))
			i += 4
		default:
			out.WriteByte(s[i])
		}
	}
	return out.String(), nil
}
