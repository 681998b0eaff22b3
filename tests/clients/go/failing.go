// Calls of go-libvirt that fail as the rules of a virtd say; prints one line for each.
// failing SOCKET
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/digitalocean/go-libvirt"
	"github.com/digitalocean/go-libvirt/socket/dialers"
)

const guest = `<domain type='test'>
  <name>%s</name><memory unit='MiB'>64</memory><os><type>hvm</type></os>
</domain>`

func connect() *libvirt.Libvirt {
	l := libvirt.NewWithDialer(dialers.NewLocal(dialers.WithSocket(os.Args[1])))
	if err := l.ConnectToURI(libvirt.ConnectURI("test:///default")); err != nil {
		fmt.Println("connect !", err)
		os.Exit(1)
	}
	return l
}

// show prints what came of a call; it returns whether the connection is lost.
func show(l *libvirt.Libvirt, label string, err error) bool {
	var refusal libvirt.Error
	switch {
	case errors.As(err, &refusal):
		fmt.Printf("%s ! %d %s\n", label, refusal.Code, refusal.Message)
	case err != nil:
		<-l.Disconnected()
		fmt.Printf("%s ! disconnected\n", label)
		return true
	default:
		fmt.Printf("%s = done\n", label)
	}
	return false
}

func main() {
	l := connect()
	_, err := l.DomainLookupByName("test")
	show(l, "error", err)
	test, err := l.DomainLookupByName("test")
	show(l, "lookup", err)
	_, err = l.ConnectGetHostname()
	show(l, "delay", err)
	if show(l, "close-before", l.DomainDestroy(test)) {
		l = connect()
	}
	if show(l, "close-after", l.DomainSuspend(test)) {
		l = connect()
	}
	_, err = l.DomainGetXMLDesc(test, 0)
	if show(l, "cut-reply", err) {
		l = connect()
	}
	state, reason, err := l.DomainGetState(test, 0)
	show(l, fmt.Sprintf("state %d %d", state, reason), err)

	told, err := l.LifecycleEvents(context.Background())
	show(l, "subscribe", err)
	for _, name := range []string{"lost", "twice"} {
		_, err = l.DomainDefineXML(fmt.Sprintf(guest, name))
		show(l, "define", err)
	}
	for range []int{1, 2} {
		event := <-told
		fmt.Println("event", event.Dom.Name)
	}
}
