package peers

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// heldPort is a port of 127.0.0.1 that nobody else who asks for a free one gets, in this process or another, until
// it is closed or garbage. A socket is bound to it and does not listen. It was bound without SO_REUSEADDR, so that
// whoever else has the port, or holds it, is noticed; and has SO_REUSEADDR since, so that a broker, whose listener
// has it too, can listen there, again and again.
type heldPort struct {
	number int
	socket *os.File
}

func (p *heldPort) release() { p.socket.Close() }

// holdPorts picks free ports. They lie below the range that outgoing connections take theirs from, so that nobody
// gets one by accident before it is used.
func holdPorts(count int) ([]*heldPort, error) {
	var held []*heldPort
	number := 20000 + (os.Getpid()*37+int(time.Now().UnixNano()/1000))%10000
	for tried := 0; len(held) < count; tried++ {
		if number++; number >= 32000 {
			number = 20000
		}
		p, err := holdPort(number)
		switch {
		case err == nil:
			held = append(held, p)
		case !errors.Is(err, unix.EADDRINUSE) || tried > 12000:
			for _, p := range held {
				p.release()
			}
			return nil, fmt.Errorf("hold a free port: %w", err)
		}
	}
	return held, nil
}

func holdPort(number int) (*heldPort, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	err = unix.Bind(fd, &unix.SockaddrInet4{Port: number, Addr: [4]byte{127, 0, 0, 1}})
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &heldPort{number, os.NewFile(uintptr(fd), fmt.Sprint("port ", number))}, nil
}

// FreePorts returns ports of 127.0.0.1 that nobody uses or holds right now.
func FreePorts(count int) ([]int, error) {
	held, err := holdPorts(count)
	if err != nil {
		return nil, err
	}
	var ports []int
	for _, p := range held {
		ports = append(ports, p.number)
		p.release()
	}
	return ports, nil
}
