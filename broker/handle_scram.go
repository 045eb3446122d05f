package broker

import (
	"slices"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleDescribeUserSCRAMCredentials, key 50, v0 (KIP-554): which users have a SCRAM
// password, by mechanism and iterations; nothing of the password. Needs Describe on the
// cluster.
func (b *Broker) handleDescribeUserSCRAMCredentials(r *request) {
	req := r.msg.(*kmsg.DescribeUserSCRAMCredentialsRequest)
	resp := kmsg.NewPtrDescribeUserSCRAMCredentialsResponse()
	resp.Results, resp.ErrorMessage = []kmsg.DescribeUserSCRAMCredentialsResponseResult{}, new(string)
	if !b.authorize(r, acl.Describe, acl.Cluster()) {
		resp.ErrorCode, resp.ErrorMessage = int16(protocol.ErrClusterAuthorizationFailed), unauthorized(acl.Describe)
		r.reply(resp)
		return
	}
	image := b.store.Image()
	var users []string
	named := map[string]int{}
	for _, u := range req.Users {
		if named[u.Name]++; named[u.Name] == 1 {
			users = append(users, u.Name)
		}
	}
	if len(req.Users) == 0 {
		for c := range image.ScramCredentials() {
			if named[c.User]++; named[c.User] == 1 {
				users = append(users, c.User)
			}
		}
		clear(named)
		slices.Sort(users)
	}
	for _, user := range users {
		out := kmsg.NewDescribeUserSCRAMCredentialsResponseResult()
		out.User, out.ErrorMessage = user, new(string)
		out.CredentialInfos = []kmsg.DescribeUserSCRAMCredentialsResponseResultCredentialInfo{}
		for _, mechanism := range []metadata.ScramMechanism{metadata.ScramSHA256, metadata.ScramSHA512} {
			if c := image.ScramCredential(user, mechanism); c != nil && named[user] < 2 {
				info := kmsg.NewDescribeUserSCRAMCredentialsResponseResultCredentialInfo()
				info.Mechanism, info.Iterations = int8(mechanism), c.Iterations
				out.CredentialInfos = append(out.CredentialInfos, info)
			}
		}
		if err := describeSCRAMError(user, named[user], len(out.CredentialInfos)); err != nil {
			out.ErrorCode, out.ErrorMessage = r.errorCode(err), messageOf(err)
		}
		resp.Results = append(resp.Results, out)
	}
	r.reply(resp)
}

func describeSCRAMError(user string, named, found int) error {
	switch {
	case named > 1:
		return protocol.Errorf(protocol.ErrDuplicateResource, "Cannot describe SCRAM credentials for the same user twice in a single request: %s", user)
	case found == 0:
		return protocol.Errorf(protocol.ErrResourceNotFound, "Attempt to describe a user credential that does not exist: %s", user)
	}
	return nil
}

// handleAlterUserSCRAMCredentials, key 51, v0 (KIP-554): sets and removes SCRAM passwords.
// Needs Alter on the cluster.
func (b *Broker) handleAlterUserSCRAMCredentials(r *request) {
	req := r.msg.(*kmsg.AlterUserSCRAMCredentialsRequest)
	resp := kmsg.NewPtrAlterUserSCRAMCredentialsResponse()
	resp.Results = []kmsg.AlterUserSCRAMCredentialsResponseResult{}
	add := func(user string, err error) {
		out := kmsg.NewAlterUserSCRAMCredentialsResponseResult()
		out.User, out.ErrorCode, out.ErrorMessage = user, r.errorCode(err), messageOf(err)
		if err != nil && out.ErrorMessage == nil {
			out.ErrorMessage = defaultMessage(codeOf(err))
		}
		resp.Results = append(resp.Results, out)
	}
	var deletions []metadata.ScramDeletion
	var upsertions []metadata.ScramUpsertion
	var users []string
	for _, d := range req.Deletions {
		deletions = append(deletions, metadata.ScramDeletion{User: d.Name, Mechanism: metadata.ScramMechanism(d.Mechanism)})
		users = append(users, d.Name)
	}
	for _, u := range req.Upsertions {
		upsertions = append(upsertions, metadata.ScramUpsertion{User: u.Name, Mechanism: metadata.ScramMechanism(u.Mechanism),
			Iterations: u.Iterations, Salt: u.Salt, SaltedPassword: u.SaltedPassword})
		users = append(users, u.Name)
	}
	var results []metadata.UserResult
	var err error
	if !b.authorize(r, acl.Alter, acl.Cluster()) {
		err = &protocol.Error{Code: protocol.ErrClusterAuthorizationFailed, Message: *unauthorized(acl.Alter)}
	} else {
		results, err = b.store.AlterUserScramCredentials(r.ctx(), deletions, upsertions)
	}
	if err != nil {
		slices.Sort(users)
		for _, user := range slices.Compact(users) {
			add(user, err)
		}
	}
	for _, res := range results {
		add(res.User, res.Err)
	}
	r.reply(resp)
}
