package broker_test

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Apache's processors drop connections of such a burst: their queues hold 20.
func TestABurstOfConnectionsIsServedWhole(t *testing.T) {
	for _, count := range []int{256, 2000} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			b := brokertest.Start(t)
			var begin, wg sync.WaitGroup
			begin.Add(1)
			failed := make(chan error, count)
			for range count {
				wg.Add(1)
				go func() {
					defer wg.Done()
					begin.Wait()
					failed <- askOnce(b.Address())
				}()
			}
			begin.Done()
			wg.Wait()
			close(failed)
			bad := 0
			for err := range failed {
				if err != nil {
					if bad++; bad < 5 {
						t.Error(err)
					}
				}
			}
			if bad > 0 {
				t.Errorf("%d of %d connections were not served", bad, count)
			}
		})
	}
}

// askOnce connects, asks for ApiVersions, reads the answer and closes.
func askOnce(address string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	w := &wire{conn: conn}
	if _, err := conn.Write(w.frame(kmsg.NewPtrApiVersionsRequest())); err != nil {
		return err
	}
	_, _, err = w.receive()
	return err
}

func TestAConnectionPastTheLimitWaitsUntilAnotherCloses(t *testing.T) {
	b := brokertest.Start(t, "max.connections=2")
	first, second, third := dial(t, b), dial(t, b), dial(t, b)
	first.call(kmsg.NewPtrApiVersionsRequest())
	second.call(kmsg.NewPtrApiVersionsRequest())
	third.send(kmsg.NewPtrApiVersionsRequest())
	third.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := third.conn.Read(make([]byte, 1)); n > 0 || err == io.EOF {
		t.Fatalf("the third was answered or closed: %d %v", n, err)
	}
	third.conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	first.conn.Close()
	if _, _, err := third.receive(); err != nil {
		t.Fatal(err)
	}
}

func TestTheLimitPerAddressClosesAtOnce(t *testing.T) {
	b := brokertest.Start(t, "max.connections.per.ip=1")
	first, second := dial(t, b), dial(t, b)
	first.call(kmsg.NewPtrApiVersionsRequest())
	if _, _, err := second.receive(); err == nil {
		t.Fatal("the second was served")
	}
	first.call(kmsg.NewPtrApiVersionsRequest())
}

func TestALoweredLimitClosesWhatIsTooMuch(t *testing.T) {
	b := brokertest.Start(t)
	conns := []*wire{dial(t, b), dial(t, b), dial(t, b)}
	for _, w := range conns {
		w.call(kmsg.NewPtrApiVersionsRequest())
	}
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	res := kmsg.NewIncrementalAlterConfigsRequestResource()
	res.ResourceType = kmsg.ConfigResourceTypeBroker
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	value := "1"
	c.Name, c.Value = "max.connections", &value
	res.Configs = append(res.Configs, c)
	req.Resources = append(req.Resources, res)
	conns[2].send(req)
	// Two are closed: one of the first two is, whichever the third is.
	closed := make(chan int, 3)
	for i, w := range conns {
		go func() {
			for {
				if _, _, err := w.receive(); err != nil {
					closed <- i
					return
				}
			}
		}()
	}
	<-closed
	<-closed
}

func TestAnIdleConnectionIsClosed(t *testing.T) {
	b := brokertest.Start(t, "connections.max.idle.ms=1000", "connection.failed.authentication.delay.ms=10")
	w := dial(t, b)
	w.call(kmsg.NewPtrApiVersionsRequest())
	if _, _, err := w.receive(); err != io.EOF {
		t.Fatal(err)
	}
}
