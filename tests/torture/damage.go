package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/barnabas-broker/barnabas/protocol"
)

// pair is a kind of file and a kind of damage.
type pair struct{ file, damage string }

// damage is what was done to a copy of a scene, and what may come of it.
type damage struct {
	pair
	path string // relative to the scene
	note string

	// Partitions that may have changed, and the first offset from which on: records below
	// it must be served as before. With never, all records must be, or the partition is
	// offline.
	from map[protocol.TopicPartition]int64

	refusal   bool // the broker may refuse to start
	swapped   bool // batches may come at wrong offsets: what says them is under no checksum
	foreign   bool // sound batches of another partition are in the file
	startsMay bool // log start offsets of a whole data directory may have moved
	dirMay    string
	offline   string // the data directory that may be offline: a or b
}

// The damages that can be done to the bytes of any file, and to its name.
var (
	byteDamages = []string{"flip", "run", "truncate", "zero page", "move page", "garbage", "zeros", "empty"}
	nameDamages = []string{"missing", "directory", "symlink", "other's file"}
)

// damagesOf lists what is done to which kind of file.
func damagesOf() map[string][]string {
	all := slices.Concat(byteDamages, nameDamages)
	of := map[string][]string{
		"active .log": slices.Concat(all, []string{"length", "base offset", "epoch", "magic", "crc", "last delta", "duplicate", ".cleaned", ".swap", ".deleted"}),
		"older .log":  slices.Concat(all, []string{"length", "base offset", "epoch", "magic", "crc", "last delta", "duplicate", ".cleaned", ".swap", ".deleted"}),
		".index":      slices.Concat(all, []string{"odd size"}), ".timeindex": slices.Concat(all, []string{"odd size"}),
		".txnindex": slices.Concat(all, []string{"odd size"}), ".snapshot": slices.Concat(all, []string{"stray"}),
		"leader-epoch-checkpoint": all, "partition.metadata": all,
		"recovery-point-offset-checkpoint": all, "replication-offset-checkpoint": all,
		"log-start-offset-checkpoint": all, "cleaner-offset-checkpoint": all,
		"meta.properties": all, ".lock": {"garbage", "missing", "directory", "symlink"},
		".kafka_cleanshutdown": {"garbage", "missing", "directory", "added"},
		".barnabas-manifest":   all, ".barnabas-progress": all,
		"-delete directory": {"file in it", "missing", "no directory"}, "-future directory": {"added", "damaged"},
		"partition directory": {"missing", "no directory", "symlink", "foreign files", "twice"},
		"data directory":      {"foreign files", "symlink", "no directory"},
		"raft-wal segment":    all, "raft-wal meta": all, "raft snapshot": all, "metadata store": {"missing", "no directory", "foreign files"},
	}
	return of
}

// pairs lists all kinds in an order that the seed gives.
func pairs(seed int64, file string) []pair {
	var all []pair
	for kind, damages := range damagesOf() {
		for _, d := range damages {
			if file == "" || file == kind {
				all = append(all, pair{kind, d})
			}
		}
	}
	slices.SortFunc(all, func(a, b pair) int { return strings.Compare(a.file+" "+a.damage, b.file+" "+b.damage) })
	rand.New(rand.NewSource(seed)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// errNotHere says that a scene has no such file.
var errNotHere = errors.New("no such file in the scene")

// inflict damages a copy of a scene.
func inflict(s *scene, dir string, p pair, random *rand.Rand) (*damage, error) {
	d := &damage{pair: p, from: map[protocol.TopicPartition]int64{}}
	switch p.file {
	case "active .log", "older .log":
		return d, d.onLog(s, dir, random)
	case ".index", ".timeindex", ".txnindex", ".snapshot", "leader-epoch-checkpoint", "partition.metadata":
		return d, d.onPartitionFile(s, dir, random)
	case "partition directory", "-delete directory", "-future directory":
		return d, d.onPartitionDirectory(s, dir, random)
	case "data directory":
		return d, d.onDataDirectory(s, dir, random)
	case "raft-wal segment", "raft-wal meta", "raft snapshot", "metadata store":
		return d, d.onMetadataStore(dir, random)
	}
	return d, d.onDirFile(s, dir, random)
}

func pick[T any](random *rand.Rand, list []T) T { return list[random.Intn(len(list))] }

// bytes damages a file's bytes or its name, and returns the first place that changed.
func (d *damage) bytes(dir, other string, random *rand.Rand) (at int64, err error) {
	path := filepath.Join(dir, d.path)
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	size := int64(len(b))
	if size == 0 && slices.Contains(byteDamages[:5], d.damage) {
		return 0, errNotHere
	}
	switch d.damage {
	case "flip":
		at = random.Int63n(size)
		b[at] ^= 1 << random.Intn(8)
	case "run":
		at = random.Int63n(size)
		n := min(size-at, 1+random.Int63n(200))
		random.Read(b[at : at+n])
	case "truncate":
		at = random.Int63n(size)
		b = b[:at]
	case "zero page", "move page":
		page := int64(4096)
		for page > 8 && page >= size {
			page /= 2
		}
		at = random.Int63n((size+page-1)/page) * page
		to := b[at:min(at+page, size)]
		if d.damage == "zero page" {
			clear(to)
		} else {
			from := random.Int63n((size+page-1)/page) * page
			copy(to, b[from:min(from+page, size)])
		}
	case "garbage", "odd size":
		at = size
		extra := make([]byte, 1+random.Intn(5000))
		if d.damage == "odd size" {
			extra = extra[:min(len(extra), 1+random.Intn(7))]
		}
		random.Read(extra)
		b = append(b, extra...)
	case "zeros":
		at = size
		b = append(b, make([]byte, 1+random.Intn(8192))...)
	case "empty":
		b = nil
	case "missing":
		d.note = "removed"
		return 0, os.Remove(path)
	case "directory":
		d.note = "a directory, with something in it"
		return 0, errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "something"), 0o755))
	case "symlink":
		d.note = "a symbolic link to nothing"
		return 0, errors.Join(os.Remove(path), os.Symlink("/nonexistent/nothing", path))
	case "other's file":
		if other == "" {
			return 0, errNotHere
		}
		d.note, d.foreign = "the content of "+other, true
		if b, err = os.ReadFile(filepath.Join(dir, other)); err != nil {
			return 0, errNotHere
		}
	default:
		return 0, fmt.Errorf("unknown damage %q", d.damage)
	}
	if d.note == "" {
		d.note = fmt.Sprintf("at %d of %d", at, size)
	}
	return at, overwrite(path, b)
}

// overwrite changes a file in place, so that its directory is not touched.
func overwrite(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

// onLog damages a segment.
func (d *damage) onLog(s *scene, dir string, random *rand.Rand) error {
	wantActive := d.file == "active .log"
	var candidates []protocol.TopicPartition
	for _, tp := range s.partitions() {
		segments := s.truth[tp].segments
		if n := len(segments); n > 1 || wantActive && n > 0 && segments[0].size > 0 {
			candidates = append(candidates, tp)
		}
	}
	if len(candidates) == 0 {
		return errNotHere
	}
	tp := pick(random, candidates)
	t := s.truth[tp]
	i := len(t.segments) - 1
	if !wantActive {
		i = random.Intn(i)
	}
	segment := &t.segments[i]
	if len(segment.batches) == 0 {
		return errNotHere
	}
	d.path = filepath.Join(t.dir, segment.name)
	other := ""
	if o := s.truth[pick(random, candidates)]; o != t {
		other = filepath.Join(o.dir, o.segments[random.Intn(len(o.segments))].name)
	}
	path := filepath.Join(dir, d.path)
	d.from[tp] = segment.base
	header := func(at int, values ...uint64) error {
		batch := pick(random, segment.batches)
		d.from[tp] = batch.first
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		v := pick(random, values)
		d.note = fmt.Sprintf("%s of the batch at %d is %d", d.damage, batch.pos, int64(v))
		h := b[batch.pos:]
		switch d.damage {
		case "base offset":
			d.swapped = true
			binary.BigEndian.PutUint64(h, v)
		case "magic":
			h[at] = byte(v)
		default:
			if d.damage == "length" {
				v += uint64(batch.size - 12)
			}
			binary.BigEndian.PutUint32(h[at:], uint32(v))
		}
		return overwrite(path, b)
	}
	minus := func(v int64) uint64 { return uint64(-v) }
	switch d.damage {
	case "length":
		return header(8, 1, minus(1), minus(50), 1<<30, 1<<31, minus(segment.batches[0].size), uint64(random.Intn(5000)))
	case "base offset":
		return header(0, 0, minus(1), 1<<40, uint64(segment.base), uint64(segment.base+int64(random.Intn(500))), 1<<62)
	case "epoch":
		err := header(12, 0, 7, 1<<31-1, 1<<32-1)
		if segment.batches[0].magic == 2 {
			d.from[tp] = never // it is under no checksum, and changes no record
		}
		return err
	case "magic":
		return header(16, 0, 1, 2, 3, 127, 255)
	case "crc":
		return header(17, uint64(random.Uint32()))
	case "last delta":
		return header(23, 0, minus(1), 1<<30, uint64(random.Intn(100)))
	case "duplicate", ".cleaned", ".swap", ".deleted":
		return d.anotherSegment(path, tp, s, segment, random)
	}
	at, err := d.bytes(dir, other, random)
	if err != nil {
		return err
	}
	if d.from[tp] = segment.firstIn(at); d.from[tp] == never && i < len(t.segments)-1 {
		d.from[tp] = t.segments[i+1].base // recovery drops what follows a segment that it had to cut
	}
	d.swapped = slices.Contains([]string{"flip", "run", "zero page", "move page"}, d.damage)
	return nil
}

// anotherSegment puts a copy of a segment beside it.
func (d *damage) anotherSegment(path string, tp protocol.TopicPartition, s *scene, segment *truthSegment, random *rand.Rand) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	to := path + d.damage
	d.from[tp] = never
	if d.damage == "duplicate" {
		base := pick(random, []int64{segment.base + 1, segment.base + 10, s.before.partitions[tp].end + 100, max(segment.base-3, 0)})
		to = filepath.Join(filepath.Dir(path), fmt.Sprintf("%020d.log", base))
		d.from[tp] = min(base, segment.base)
		if base >= s.before.partitions[tp].end {
			d.from[tp] = s.before.partitions[tp].end
		}
		if base == segment.base {
			return errNotHere
		}
	}
	d.note = "a copy of it at " + filepath.Base(to)
	return os.WriteFile(to, b, 0o644)
}

// onPartitionFile damages another file of a partition's directory.
func (d *damage) onPartitionFile(s *scene, dir string, random *rand.Rand) error {
	type place struct {
		tp   protocol.TopicPartition
		path string
	}
	var places []place
	for _, tp := range s.partitions() {
		entries, err := os.ReadDir(filepath.Join(dir, s.truth[tp].dir))
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.Name() == d.file || filepath.Ext(e.Name()) == d.file && d.file[0] == '.' {
				places = append(places, place{tp, filepath.Join(s.truth[tp].dir, e.Name())})
			}
		}
	}
	if len(places) == 0 {
		return errNotHere
	}
	chosen := pick(random, places)
	d.path, d.from[chosen.tp] = chosen.path, never
	if d.damage == "stray" {
		to := filepath.Join(filepath.Dir(d.path), fmt.Sprintf("%020d.snapshot", random.Intn(2000)))
		d.note = "copied to " + filepath.Base(to)
		b, err := os.ReadFile(filepath.Join(dir, d.path))
		return errors.Join(err, os.WriteFile(filepath.Join(dir, to), b, 0o644))
	}
	other := ""
	if o := pick(random, places); o != chosen {
		other = o.path
	}
	_, err := d.bytes(dir, other, random)
	d.foreign = false
	return err
}

// onDirFile damages a file of a data directory.
func (d *damage) onDirFile(s *scene, dir string, random *rand.Rand) error {
	a := pick(random, []string{"a", "b"})
	b := map[string]string{"a": "b", "b": "a"}[a]
	d.path = filepath.Join(a, d.file)
	d.from = map[protocol.TopicPartition]int64{}
	switch d.file {
	case "meta.properties":
		d.refusal, d.offline = true, a
	case ".lock":
		d.offline, d.refusal = a, true
	case ".kafka_cleanshutdown":
		d.offline = a
	case "log-start-offset-checkpoint":
		d.startsMay, d.dirMay = true, a
	}
	if slices.Contains(nameDamages, d.damage) {
		d.offline = a // a checkpoint that cannot be written, for example
	}
	if d.damage == "added" {
		d.note = "an empty one"
		return os.WriteFile(filepath.Join(dir, d.path), nil, 0o644)
	}
	if _, err := os.Lstat(filepath.Join(dir, d.path)); err != nil {
		return errNotHere
	}
	_, err := d.bytes(dir, filepath.Join(b, d.file), random)
	d.foreign = false
	return err
}

func (d *damage) onPartitionDirectory(s *scene, dir string, random *rand.Rand) error {
	tp := pick(random, s.partitions())
	t := s.truth[tp]
	d.path = t.dir
	path := filepath.Join(dir, t.dir)
	end := strings.Replace(filepath.Base(t.dir), ".", "_", -1)
	switch d.file + " " + d.damage {
	case "partition directory missing":
		d.from[tp] = 0
		return os.RemoveAll(path)
	case "partition directory no directory":
		d.from[tp] = 0
		return errors.Join(os.RemoveAll(path), os.WriteFile(path, []byte("not a directory"), 0o644))
	case "partition directory symlink":
		d.from[tp] = never
		return errors.Join(os.Rename(path, filepath.Join(dir, "moved")), os.Symlink(filepath.Join(dir, "moved"), path))
	case "partition directory twice":
		d.from[tp], d.refusal = never, true
		other := filepath.Join(dir, map[byte]string{'a': "b", 'b': "a"}[t.dir[0]], filepath.Base(t.dir))
		return copyTree(path, other)
	case "partition directory foreign files":
		d.from[tp] = never
		return foreignFiles(path, random)
	case "-future directory added", "-future directory damaged":
		d.from[tp] = never
		if len(t.segments) == 0 || t.segments[0].size == 0 {
			return errNotHere
		}
		other := filepath.Join(dir, map[byte]string{'a': "b", 'b': "a"}[t.dir[0]], end+".0123456789abcdef0123456789abcdef-future")
		if err := copyTree(path, other); err != nil || d.damage == "added" {
			return err
		}
		b, err := os.ReadFile(filepath.Join(other, t.segments[0].name))
		if err != nil {
			return err
		}
		random.Read(b[random.Intn(len(b)):])
		return os.WriteFile(filepath.Join(other, t.segments[0].name), b, 0o644)
	}
	found, _ := filepath.Glob(filepath.Join(dir, "*", "*-delete"))
	if len(found) == 0 {
		return errNotHere
	}
	path = pick(random, found)
	d.path, _ = filepath.Rel(dir, path)
	switch d.damage {
	case "missing":
		return os.RemoveAll(path)
	case "no directory":
		return errors.Join(os.RemoveAll(path), os.WriteFile(path, nil, 0o644))
	}
	return foreignFiles(path, random)
}

// foreignFiles puts what does not belong there into a directory.
func foreignFiles(dir string, random *rand.Rand) error {
	garbage := make([]byte, 3000)
	random.Read(garbage)
	var errs []error
	for _, name := range []string{"README", "00000000000000000000.foo", "00000000000000000000.log.bak", "x.log", "-1.log", ".DS_Store",
		"99999999999999999999999.log", "00000000000000000000.txnindex.old", "leader-epoch-checkpoint.tmp", "core"} {
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), garbage, 0o644))
	}
	errs = append(errs, os.MkdirAll(filepath.Join(dir, "lost+found", "x"), 0o755), os.Symlink("/nonexistent", filepath.Join(dir, "dangling")))
	return errors.Join(errs...)
}

func (d *damage) onDataDirectory(s *scene, dir string, random *rand.Rand) error {
	d.path = pick(random, []string{"a", "b"})
	path := filepath.Join(dir, d.path)
	switch d.damage {
	case "symlink":
		return errors.Join(os.Rename(path, path+"-moved"), os.Symlink(path+"-moved", path))
	case "no directory":
		d.refusal, d.offline = true, d.path
		return errors.Join(os.RemoveAll(path), os.WriteFile(path, nil, 0o644))
	}
	errs := []error{foreignFiles(path, random), os.WriteFile(filepath.Join(path, "plain-7"), nil, 0o644)}
	for _, name := range []string{"plain-99", "unknown-0", "no-number-x", "-1", "a-b-", "plain-4294967296", "x-0.zz-delete", "x-0-stray"} {
		errs = append(errs, copyTree(filepath.Join(dir, s.truth[s.partitions()[0]].dir), filepath.Join(path, name)))
	}
	return errors.Join(errs...)
}

func (d *damage) onMetadataStore(dir string, random *rand.Rand) error {
	d.refusal = true
	store := filepath.Join("a", "__cluster_metadata-1")
	pattern := map[string]string{"raft-wal segment": "*.wal", "raft-wal meta": "meta.[01]", "raft snapshot": "snapshots/*/*"}[d.file]
	if pattern == "" {
		d.path = store
		path := filepath.Join(dir, store)
		switch d.damage {
		case "missing":
			return os.RemoveAll(path)
		case "no directory":
			return errors.Join(os.RemoveAll(path), os.WriteFile(path, nil, 0o644))
		}
		return foreignFiles(path, random)
	}
	found, _ := filepath.Glob(filepath.Join(dir, store, pattern))
	if len(found) == 0 {
		return errNotHere
	}
	d.path, _ = filepath.Rel(dir, pick(random, found))
	other, _ := filepath.Rel(dir, pick(random, found))
	if d.file == "raft-wal segment" && slices.Contains(byteDamages[:5], d.damage) {
		return d.inUse(dir, random)
	}
	_, err := d.bytes(dir, other, random)
	return err
}

// inUse damages the part of a preallocated file that holds something.
func (d *damage) inUse(dir string, random *rand.Rand) error {
	path := filepath.Join(dir, d.path)
	whole, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	used := len(whole)
	for used > 0 && whole[used-1] == 0 {
		used--
	}
	if err := overwrite(path, whole[:used]); err != nil {
		return err
	}
	if _, err := d.bytes(dir, "", random); err != nil {
		return err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return overwrite(path, append(b, whole[len(b):]...)[:max(len(b), len(whole))])
}
