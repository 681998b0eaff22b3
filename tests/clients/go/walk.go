// A walk through the everyday calls of go-libvirt; prints one line for each.
// walk SOCKET URI DRIVER
package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/digitalocean/go-libvirt"
	"github.com/digitalocean/go-libvirt/socket/dialers"
)

const guest = `<domain type='%s'>
  <name>gopher</name>
  <uuid>11111111-0000-4000-8000-0000000000c1</uuid>
  <memory unit='MiB'>64</memory>
  <vcpu>2</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
</domain>`

const pool = `<pool type='dir'><name>gopool</name><uuid>11111111-0000-4000-8000-0000000000c2</uuid>
<target><path>%s/pool</path></target></pool>`

const volume = `<volume><name>disk.img</name><capacity>4096</capacity><allocation>0</allocation>
<target><format type='raw'/></target></volume>`

const secret = `<secret private='%s'><uuid>11111111-0000-4000-8000-0000000000c3</uuid>
<usage type='ceph'><name>client.gopher</name></usage></secret>`

// show prints what came of a call: its results or the code and the text of its refusal.
func show(label string, err error, results ...interface{}) {
	var refusal libvirt.Error
	if errors.As(err, &refusal) {
		fmt.Printf("%s ! %d %s\n", label, refusal.Code, refusal.Message)
		return
	}
	if err != nil {
		fmt.Printf("%s ! %v\n", label, err)
		return
	}
	texts := make([]string, len(results))
	for i, result := range results {
		texts[i] = fmt.Sprintf("%+v", result)
	}
	fmt.Printf("%s = %s\n", label, strings.Join(texts, ", "))
}

func text(domain libvirt.Domain) string {
	return fmt.Sprintf("%s %s %v", domain.Name, hex.EncodeToString(domain.UUID[:]), domain.ID > 0)
}

func names(domains []libvirt.Domain) []string {
	found := []string{}
	for _, one := range domains {
		found = append(found, one.Name)
	}
	sort.Strings(found)
	return found
}

// heard prints events until there were as many. QEMU's own word of its end is left out: whether
// libvirtd still listens then is chance.
func heard(events <-chan libvirt.DomainEventLifecycleMsg, count int) {
	for count > 0 {
		select {
		case one := <-events:
			if one.Event != int32(libvirt.DomainEventShutdown) {
				fmt.Printf("event %s %d %d\n", one.Dom.Name, one.Event, one.Detail)
				count--
			}
		case <-time.After(30 * time.Second):
			fmt.Println("no event in 30 seconds")
			os.Exit(1)
		}
	}
}

func host(l *libvirt.Libvirt) {
	kind, err := l.ConnectGetType()
	show("ConnectGetType", err, kind)
	version, err := l.ConnectGetLibVersion()
	show("ConnectGetLibVersion", err, version)
	domains, count, err := l.ConnectListAllDomains(1, 0)
	show("ConnectListAllDomains", err, names(domains), count)
	domains, count, err = l.ConnectListAllDomains(0, 0)
	show("ConnectListAllDomains", err, len(domains), count)
	_, err = l.DomainLookupByName("nowhere")
	show("DomainLookupByName", err)
	show("IsNotFound", nil, libvirt.IsNotFound(err))
	_, err = l.DomainLookupByID(4321)
	show("DomainLookupByID", err)
	_, err = l.NetworkLookupByName("nowhere")
	show("NetworkLookupByName", err)
	show("IsNotFound", nil, libvirt.IsNotFound(err))
	_, err = l.StoragePoolLookupByName("nowhere")
	show("StoragePoolLookupByName", err)
	_, err = l.DomainDefineXMLFlags("<domain", 0)
	show("DomainDefineXMLFlags", err)
	_, err = l.DomainDefineXMLFlags("<network/>", 0)
	show("DomainDefineXMLFlags", err)
	_, err = l.DomainDefineXMLFlags("<domain/>", 1<<20)
	show("DomainDefineXMLFlags", err)
}

func life(l *libvirt.Libvirt, driver string) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	events, err := l.LifecycleEvents(ctx)
	show("LifecycleEvents", err)
	domain, err := l.DomainDefineXMLFlags(fmt.Sprintf(guest, driver), 0)
	show("DomainDefineXMLFlags", err, text(domain))
	heard(events, 1)
	state, reason, err := l.DomainGetState(domain, 0)
	show("DomainGetState", err, state, reason)
	document, err := l.DomainGetXMLDesc(domain, 0)
	show("DomainGetXMLDesc", err, strings.ReplaceAll(document, "\n", "\n  "))
	_, err = l.DomainGetXMLDesc(domain, 1<<20)
	show("DomainGetXMLDesc", err)
	show("DomainSuspend", l.DomainSuspend(domain))
	_, err = l.DomainMemoryStats(domain, 10, 0)
	show("DomainMemoryStats", err)
	started, err := l.DomainCreateWithFlags(domain, uint32(libvirt.DomainStartPaused))
	show("DomainCreateWithFlags", err, text(started))
	if driver == "test" {
		started, err = l.DomainCreateWithFlags(domain, 0)
		show("DomainCreateWithFlags", err, text(started))
		heard(events, 1)
	} else {
		heard(events, 2)
	}
	state, reason, err = l.DomainGetState(domain, 0)
	show("DomainGetState", err, state, reason)
	if driver == "qemu" {
		show("DomainResume", l.DomainResume(domain))
		heard(events, 1)
	}
	state, maximum, memory, vcpus, _, err := info(l, domain)
	show("DomainGetInfo", err, state, maximum, memory, vcpus)
	_, err = l.DomainCreateWithFlags(domain, 0)
	show("DomainCreateWithFlags", err)
	active, err := l.DomainIsActive(domain)
	show("DomainIsActive", err, active)
	metadata := libvirt.OptString{"<go:pher xmlns:go='urn:go'/>"}
	show("DomainSetMetadata", l.DomainSetMetadata(domain, 2, metadata,
		libvirt.OptString{"go"}, libvirt.OptString{"urn:go"}, 0))
	got, err := l.DomainGetMetadata(domain, 2, libvirt.OptString{"urn:go"}, 0)
	show("DomainGetMetadata", err, got)
	_, err = l.DomainGetMetadata(domain, 2, libvirt.OptString{"urn:nothing"}, 0)
	show("DomainGetMetadata", err)
	records, err := l.ConnectGetAllDomainStats([]libvirt.Domain{domain}, uint32(libvirt.DomainStatsState), 0)
	show("ConnectGetAllDomainStats", err, len(records))
	for _, one := range records {
		show("statistics", nil, one.Params)
	}
	_, err = l.DomainInterfaceAddresses(domain, 0, 0)
	show("DomainInterfaceAddresses", err)
	_, _, _, err = l.DomainGetBlockInfo(domain, "vdz", 0)
	show("DomainGetBlockInfo", err)
	if driver == "test" {
		snapshot, err := l.DomainSnapshotCreateXML(domain, "<domainsnapshot><name>one</name></domainsnapshot>", 0)
		show("DomainSnapshotCreateXML", err, snapshot.Name)
		show("DomainSnapshotDelete", l.DomainSnapshotDelete(snapshot, 0))
	}
	show("DomainSuspend", l.DomainSuspend(domain))
	heard(events, 1)
	show("DomainDestroyFlags", l.DomainDestroyFlags(domain, 0))
	heard(events, 1)
	show("DomainDestroyFlags", l.DomainDestroyFlags(domain, 0))
	show("DomainUndefineFlags", l.DomainUndefineFlags(domain, 0))
	heard(events, 1)
	_, err = l.DomainGetXMLDesc(domain, 0)
	show("DomainGetXMLDesc", err)
}

func info(l *libvirt.Libvirt, domain libvirt.Domain) (int32, uint64, uint64, uint16, uint64, error) {
	state, maximum, memory, vcpus, time, err := l.DomainGetInfo(domain)
	return int32(state), maximum, memory, vcpus, time, err
}

func storage(l *libvirt.Libvirt, folder string) {
	made, err := l.StoragePoolDefineXML(fmt.Sprintf(pool, folder), 0)
	show("StoragePoolDefineXML", err, made.Name)
	_, _, err = l.StoragePoolListAllVolumes(made, 1, 0)
	show("StoragePoolListAllVolumes", err)
	show("StoragePoolBuild", l.StoragePoolBuild(made, 0))
	show("StoragePoolCreate", l.StoragePoolCreate(made, 0))
	show("StoragePoolCreate", l.StoragePoolCreate(made, 0))
	disk, err := l.StorageVolCreateXML(made, volume, 0)
	show("StorageVolCreateXML", err, disk.Pool, disk.Name, disk.Key)
	_, err = l.StorageVolCreateXML(made, volume, 0)
	show("StorageVolCreateXML", err)
	data := bytes.Repeat([]byte("go"), 2048)
	show("StorageVolUpload", l.StorageVolUpload(disk, bytes.NewReader(data), 0, 0, 0))
	var back bytes.Buffer
	err = l.StorageVolDownload(disk, &back, 0, 0, 0)
	// libvirtd may answer before its helper has written what it was given.
	for try := 0; err == nil && !bytes.Equal(data, back.Bytes()) && try < 100; try++ {
		time.Sleep(20 * time.Millisecond)
		back.Reset()
		err = l.StorageVolDownload(disk, &back, 0, 0, 0)
	}
	show("StorageVolDownload", err)
	show("the same", nil, bytes.Equal(data, back.Bytes()))
	kind, capacity, _, err := l.StorageVolGetInfo(disk)
	show("StorageVolGetInfo", err, kind, capacity)
	_, err = l.StorageVolLookupByPath("/nowhere")
	show("StorageVolLookupByPath", err)
	show("IsNotFound", nil, libvirt.IsNotFound(err))
	volumes, count, err := l.StoragePoolListAllVolumes(made, 1, 0)
	show("StoragePoolListAllVolumes", err, len(volumes), count)
	show("StorageVolDelete", l.StorageVolDelete(disk, 0))
	show("StoragePoolDestroy", l.StoragePoolDestroy(made))
	show("StoragePoolUndefine", l.StoragePoolUndefine(made))
}

func secrets(l *libvirt.Libvirt) {
	made, err := l.SecretDefineXML(fmt.Sprintf(secret, "no"), 0)
	show("SecretDefineXML", err, made.UsageType, made.UsageID)
	if err != nil {
		return
	}
	_, err = l.SecretGetValue(made, 0)
	show("SecretGetValue", err)
	show("SecretSetValue", l.SecretSetValue(made, []byte("sesame"), 0))
	value, err := l.SecretGetValue(made, 0)
	show("SecretGetValue", err, string(value))
	_, err = l.SecretDefineXML(fmt.Sprintf(secret, "yes"), 0)
	show("SecretDefineXML", err)
	_, err = l.SecretGetValue(made, 0)
	show("SecretGetValue", err)
	show("SecretUndefine", l.SecretUndefine(made))
	_, err = l.SecretLookupByUsage(made.UsageType, made.UsageID)
	show("SecretLookupByUsage", err)
}

func main() {
	folder, _ := os.Getwd()
	l := libvirt.NewWithDialer(dialers.NewLocal(dialers.WithSocket(os.Args[1])))
	if err := l.ConnectToURI(libvirt.ConnectURI(os.Args[2])); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	host(l)
	life(l, os.Args[3])
	storage(l, folder)
	secrets(l)
	show("Disconnect", l.Disconnect())
	fmt.Println("done")
}
