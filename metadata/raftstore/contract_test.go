package raftstore_test

import (
	"context"
	"testing"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/metadata/controller"
	"github.com/barnabas-broker/barnabas/metadata/raftstore"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/tests/metadatatest"
)

func TestStoreKeepsItsContract(t *testing.T) {
	metadatatest.Run(t, func(t *testing.T, o metadatatest.Options) metadata.Store {
		s, err := raftstore.Open(context.Background(), raftstore.Options{Dir: t.TempDir(), NodeID: o.NodeID, DirectoryID: protocol.NewUUID(),
			Controller: controller.Options{DefaultPartitions: o.DefaultPartitions, DefaultReplicationFactor: o.DefaultReplicationFactor,
				Schema: o.Schema, Features: o.Features}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	})
}
