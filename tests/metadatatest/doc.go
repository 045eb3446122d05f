// Package metadatatest is the contract of metadata.Store in executable form. Every store
// runs it against itself:
//
//	func TestStore(t *testing.T) {
//		metadatatest.Run(t, func(t *testing.T, o metadatatest.Options) metadata.Store { ... })
//	}
//
// The suite brings a few brokers and a schema of its own, and expects error codes and, where
// clients show them, the words of Kafka's controller.
package metadatatest
