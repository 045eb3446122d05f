package auth

// Principal is an identity that a connection has proved, Kafka's KafkaPrincipal.
type Principal struct {
	Type string // "User", always, for Kafka's own mechanisms
	Name string
}

// Anonymous is the principal of a connection that has proved nothing: a PLAINTEXT
// listener, or TLS without a client certificate.
var Anonymous = Principal{Type: "User", Name: "ANONYMOUS"}

// String returns Type:Name, the form that ACLs and super.users use.
func (p Principal) String() string { return p.Type + ":" + p.Name }

// User returns the principal of a user's name.
func User(name string) Principal { return Principal{Type: "User", Name: name} }
