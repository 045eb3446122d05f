// Package admin serves the administration port: /metrics, /livez, /readyz and
// /debug/pprof, over HTTP.
//
// A [Server] answers GET and HEAD only and changes nothing, asks for no password, and so
// belongs on the loopback interface or behind something that does ask. It opens before
// the broker does: /livez answers while logs are being recovered, /readyz says yes only
// while clients are served. Requests whose Host header names somebody else are refused: a
// web page that a person on this machine looks at must not read the port through a name
// that its author made point here.
package admin
