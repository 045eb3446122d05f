package kerberos

import (
	"os"
	"os/exec"
	"testing"
)

// kafkaLibs returns the folder of Apache Kafka's jars, or skips the test.
func kafkaLibs(t *testing.T) string {
	t.Helper()
	libs := os.Getenv("BARNABAS_KAFKA_LIBS")
	if libs == "" {
		t.Skip("BARNABAS_KAFKA_LIBS does not name a folder with Apache Kafka's jars")
	}
	if _, err := exec.LookPath("java"); err != nil {
		t.Skip("java is not installed")
	}
	return libs
}
