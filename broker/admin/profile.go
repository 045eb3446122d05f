package admin

import (
	"fmt"
	"net/http"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	profilePath       = "/debug/pprof/"
	maxProfileSeconds = 120
)

// profiles adds the profiles under the paths that `go tool pprof` knows. They are made
// here and not by net/http/pprof, which registers itself with the default server when it
// is linked in, and shows the command line, where passwords may stand.
func profiles(mux *http.ServeMux) {
	mux.HandleFunc(profilePath+"{$}", func(w http.ResponseWriter, _ *http.Request) {
		names := []string{"profile?seconds=30", "trace?seconds=5"}
		for _, p := range pprof.Profiles() {
			names = append(names, p.Name())
		}
		slices.Sort(names)
		fmt.Fprintln(w, strings.Join(names, "\n"))
	})
	mux.HandleFunc(profilePath+"profile", func(w http.ResponseWriter, r *http.Request) {
		timed(w, r, 30, func() error { return pprof.StartCPUProfile(w) }, pprof.StopCPUProfile)
	})
	mux.HandleFunc(profilePath+"trace", func(w http.ResponseWriter, r *http.Request) {
		timed(w, r, 1, func() error { return trace.Start(w) }, trace.Stop)
	})
	mux.HandleFunc(profilePath+"{name}", func(w http.ResponseWriter, r *http.Request) {
		p := pprof.Lookup(r.PathValue("name"))
		if p == nil {
			http.NotFound(w, r)
			return
		}
		http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTimeout))
		debug, _ := strconv.Atoi(r.URL.Query().Get("debug"))
		if debug == 0 {
			w.Header().Set("Content-Type", "application/octet-stream")
		}
		if p.Name() == "heap" && r.URL.Query().Get("gc") == "1" {
			runtime.GC() // what is left is in use
		}
		p.WriteTo(w, debug)
	})
}

// timed records for as long as the request says, or until its sender goes away.
func timed(w http.ResponseWriter, r *http.Request, seconds int, start func() error, stop func()) {
	if s := r.URL.Query().Get("seconds"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxProfileSeconds {
			http.Error(w, fmt.Sprintf("seconds is 1 to %d", maxProfileSeconds), http.StatusBadRequest)
			return
		}
		seconds = n
	}
	duration := time.Duration(seconds) * time.Second
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(duration + answerTimeout))
	w.Header().Set("Content-Type", "application/octet-stream")
	if err := start(); err != nil {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	defer stop()
	done := time.NewTimer(duration)
	defer done.Stop()
	select {
	case <-done.C:
	case <-r.Context().Done():
	}
}
