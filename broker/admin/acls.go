package admin

import (
	"encoding/json"
	"net/http"

	"github.com/barnabas-broker/barnabas/acl"
)

// ACLUser is a Broker that knows which of its ACLs have decided anything.
type ACLUser interface {
	// UnusedACLs returns those that have not, since the broker has known them.
	UnusedACLs() []*acl.Binding
}

// unusedACL is how an ACL is written here, with the words of Kafka's tools.
type unusedACL struct {
	ResourceType string `json:"resourceType"`
	ResourceName string `json:"resourceName"`
	PatternType  string `json:"patternType"`
	Principal    string `json:"principal"`
	Permission   string `json:"permission"`
	Operation    string `json:"operation"`
	Host         string `json:"host"`
}

// unusedACLs answers with a list in JSON.
func (s *Server) unusedACLs(w http.ResponseWriter, _ *http.Request) {
	b := s.broker.Load()
	if b == nil {
		http.Error(w, "the broker is starting", http.StatusServiceUnavailable)
		return
	}
	list := []unusedACL{}
	if user, ok := (*b).(ACLUser); ok {
		for _, a := range user.UnusedACLs() {
			list = append(list, unusedACL{a.ResourceType.Name(), a.ResourceName, a.PatternType.Name(), a.Principal, a.Permission.Name(), a.Operation.Name(), a.Host})
		}
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(list)
}
