package procfs

import (
	"os"
	"testing"
)

func TestReadSamplesThisProcess(t *testing.T) {
	s, err := Read(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if s.RSS <= 0 || s.PeakRSS < s.RSSAnon || s.OpenFiles < 3 || s.Threads < 1 || s.User > s.CPU {
		t.Errorf("impossible sample %+v", s)
	}
}
