package cli

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"
)

// runKafkaDelegationTokens is kafka-delegation-tokens.
func runKafkaDelegationTokens(e *env, args []string) error {
	var create, renew, expire, describe bool
	var owners, renewers []string
	var lifetimeMs, renewMs, expireMs int64
	var hmacText string
	f := e.newToolFlags()
	f.bool(&create, "create", 0, "create a token")
	f.bool(&renew, "renew", 0, "renew a token")
	f.bool(&expire, "expire", 0, "expire a token")
	f.bool(&describe, "describe", 0, "describe tokens")
	f.strings(&owners, "owner-principal", 0, "PRINCIPAL", "owner")
	f.strings(&renewers, "renewer-principal", 0, "PRINCIPAL", "who may renew")
	f.int64(&lifetimeMs, "max-life-time-period", 0, "MS", "longest life; -1 is the broker's")
	f.int64(&renewMs, "renew-time-period", 0, "MS", "from now; -1 is the broker's")
	f.int64(&expireMs, "expiry-time-period", 0, "MS", "from now; -1 is at once")
	f.string(&hmacText, "hmac", 0, "HMAC", "of the token")
	lifetimeMs, renewMs, expireMs = -1, -1, -1
	if err := e.parseTool(f, args); err != nil {
		return err
	}
	if bools(create, renew, expire, describe) != 1 {
		return &usageError{message: "Command must include exactly one action: --create, --renew, --expire or --describe"}
	}
	who, err := parsePrincipals(owners)
	if err != nil {
		return err
	}
	others, err := parsePrincipals(renewers)
	if err != nil {
		return err
	}
	hmac, err := base64.StdEncoding.DecodeString(hmacText)
	if (renew || expire) && (err != nil || len(hmac) == 0) {
		return &usageError{message: "Missing required argument \"[hmac]\""}
	}
	const minutes = "2006-01-02T15:04"
	return e.asking(func(ctx context.Context, a *admin) error {
		switch {
		case create:
			fmt.Fprintf(e.stdout, "Calling create token operation with renewers :%v , max-life-time-period :%d\n", others, lifetimeMs)
			t, err := a.createToken(ctx, who, others, lifetimeMs)
			if err != nil {
				return err
			}
			fmt.Fprintf(e.stdout, "Created delegation token with tokenId : %s\n", t.ID)
			e.printKafkaTokens([]delegationToken{t})
			return nil
		case renew:
			fmt.Fprintf(e.stdout, "Calling renew token operation with hmac :%s , renew-time-period :%d\n", hmacText, renewMs)
			at, err := a.renewToken(ctx, hmac, renewMs)
			if err == nil {
				fmt.Fprintf(e.stdout, "Completed renew operation. New expiry date : %s", time.UnixMilli(at).Format(minutes))
			}
			return err
		case expire:
			fmt.Fprintf(e.stdout, "Calling expire token operation with hmac :%s , expire-time-period :%d\n", hmacText, expireMs)
			at, err := a.expireToken(ctx, hmac, expireMs)
			if err == nil {
				fmt.Fprintf(e.stdout, "Completed expire operation. New expiry date : %s", time.UnixMilli(at).Format(minutes))
			}
			return err
		}
		if len(who) == 0 {
			fmt.Fprintln(e.stdout, "Calling describe token operation for current user.")
		} else {
			fmt.Fprintf(e.stdout, "Calling describe token operation for owners: %v\n", who)
		}
		list, err := a.describeTokens(ctx, who)
		if err != nil {
			return err
		}
		fmt.Fprintf(e.stdout, "Total number of tokens : %d", len(list))
		e.printKafkaTokens(list)
		return nil
	})
}

// printKafkaTokens prints tokens in the columns of Kafka's tool.
func (e *env) printKafkaTokens(list []delegationToken) {
	const columns = "\n%-15s %-30s %-15s %-15s %-25s %-15s %-15s %-15s\n"
	const minutes = "2006-01-02T15:04"
	fmt.Fprintf(e.stdout, columns, "TOKENID", "HMAC", "OWNER", "REQUESTER", "RENEWERS", "ISSUEDATE", "EXPIRYDATE", "MAXDATE")
	for _, t := range list {
		fmt.Fprintf(e.stdout, columns, t.ID, t.HMAC, t.Owner, t.Requester, strings.Join(t.Renewers, ","),
			time.UnixMilli(t.Issued).Format(minutes), time.UnixMilli(t.Expires).Format(minutes), time.UnixMilli(t.Max).Format(minutes))
	}
}
