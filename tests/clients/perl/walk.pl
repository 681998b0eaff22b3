# A walk through the everyday calls of Sys::Virt; prints one line for each.
# perl walk.pl URI DRIVER FOLDER
use strict;
use warnings;
use Data::Dumper;
use Sys::Virt;
use Sys::Virt::Event;

my ($uri, $driver, $folder) = @ARGV;
$| = 1;
$Data::Dumper::Sortkeys = 1;
$Data::Dumper::Terse    = 1;
$Data::Dumper::Indent   = 0;

sub shown {
    my ($value) = @_;
    my $text = ref $value && ref $value =~ /^Sys::Virt/ ? ref $value : $value;
    return Dumper($text);
}

# Make a call, and print its result or its refusal; gives the result.
sub call {
    my ($label, $code) = @_;
    my @got = eval { $code->() };
    if (my $error = $@) {
        if (ref $error) {
            printf "%s ! %d %d %s\n", $label, $error->code, $error->domain, $error->message;
        } else {
            print "$label ! $error\n";
        }
        return;
    }
    printf "%s = %s\n", $label, join ', ', map { ref($_) =~ /^Sys::Virt/ ? ref $_ : Dumper($_) } @got;
    return wantarray ? @got : $got[0];
}

sub names {
    return [sort map { $_->get_name } @_];
}

my $guest = <<EOF;
<domain type='$driver'>
  <name>walker</name>
  <uuid>11111111-0000-4000-8000-0000000000b1</uuid>
  <title>A guest that Perl defined</title>
  <memory unit='MiB'>64</memory>
  <vcpu>2</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <serial type='pty'/>
  </devices>
</domain>
EOF

Sys::Virt::Event::register_default();
my $conn = Sys::Virt->new(uri => $uri);

# ---- the host
call 'get_type', sub { $conn->get_type };
call 'get_library_version', sub { $conn->get_library_version };
call 'is_alive', sub { $conn->is_alive ? 1 : 0 };
call 'is_secure', sub { $conn->is_secure ? 1 : 0 };
call 'is_encrypted', sub { $conn->is_encrypted ? 1 : 0 };
call 'get_max_vcpus', sub { $conn->get_max_vcpus($driver) };
call 'get_node_info', sub { [sort keys %{ $conn->get_node_info }] };
call 'capabilities', sub { $conn->get_capabilities =~ m{^\s*<capabilities>.*<guest>}s ? 1 : 0 };
call 'get_node_cpu_stats', sub { [sort keys %{ $conn->get_node_cpu_stats }] };
call 'get_node_cpu_stats 9999', sub { $conn->get_node_cpu_stats(9999) };
call 'get_cpu_model_names', sub { my @all = $conn->get_cpu_model_names('x86_64'); scalar(@all) > 10 };
call 'num_of_domains', sub { $conn->num_of_domains };
call 'num_of_defined_domains', sub { $conn->num_of_defined_domains };
call 'num_of_interfaces', sub { $conn->num_of_interfaces } if $driver eq 'test';
call 'num_of_secrets', sub { $conn->num_of_secrets };
call 'num_of_nwfilters', sub { $conn->num_of_nwfilters } if $driver eq 'test';
call 'list_all_domains', sub { names($conn->list_all_domains) };
call 'list_domains', sub { names($conn->list_domains) };
call 'list_defined_domain_names', sub { $conn->list_defined_domain_names(10) };
call 'list_all_networks', sub { names($conn->list_all_networks) };
call 'get_domain_by_name', sub { $conn->get_domain_by_name('nowhere') };
call 'get_domain_by_id', sub { $conn->get_domain_by_id(4321) };
call 'get_domain_by_uuid', sub { $conn->get_domain_by_uuid("\x11" x 16) };
call 'get_domain_by_uuid_string', sub { $conn->get_domain_by_uuid('11111111-1111-1111-1111-111111111111') };
call 'define broken', sub { $conn->define_domain('<domain') };
call 'define wrong root', sub { $conn->define_domain('<network/>') };

# ---- events
my @events;
my $lifecycle = $conn->domain_event_register_any(undef,
    Sys::Virt::Domain::EVENT_ID_LIFECYCLE,
    sub {
        my ($c, $dom, $event, $detail) = @_;
        # QEMU tells of its end (6), and whether libvirtd still listens then is chance.
        push @events, [$dom->get_name, $event, $detail] if $event != Sys::Virt::Domain::EVENT_SHUTDOWN });

sub heard {
    my ($count) = @_;
    local $SIG{ALRM} = sub { die 'no event in 30 seconds: ' . Dumper(\@events) };
    alarm 30;
    Sys::Virt::Event::run_default() while @events < $count;
    alarm 0;
    printf "event %s\n", Dumper($_) for splice @events;
}

# ---- a domain's life
my $dom = call 'define_domain', sub { $conn->define_domain($guest) };
heard(1);
call 'get_name', sub { $dom->get_name };
call 'get_uuid_string', sub { $dom->get_uuid_string };
call 'get_id', sub { $dom->get_id };
call 'get_os_type', sub { $dom->get_os_type };
call 'is_active', sub { $dom->is_active ? 1 : 0 };
call 'is_persistent', sub { $dom->is_persistent ? 1 : 0 };
call 'is_updated', sub { $dom->is_updated ? 1 : 0 };
call 'get_state', sub { $dom->get_state };
call 'get_info', sub { my $info = $dom->get_info; delete $info->{cpuTime}; $info };
call 'get_max_memory', sub { $dom->get_max_memory };
call 'get_max_vcpus', sub { $dom->get_max_vcpus };
call 'get_vcpus', sub { $dom->get_vcpus(Sys::Virt::Domain::VCPU_CONFIG) };
call 'get_autostart', sub { $dom->get_autostart ? 1 : 0 };
call 'set_autostart', sub { $dom->set_autostart(1) };
call 'get_autostart', sub { $dom->get_autostart ? 1 : 0 };
call 'set_autostart', sub { $dom->set_autostart(0) };
call 'get_metadata title', sub { $dom->get_metadata(Sys::Virt::Domain::METADATA_TITLE, undef) };
call 'get_metadata description', sub { $dom->get_metadata(Sys::Virt::Domain::METADATA_DESCRIPTION, undef) };
call 'set_metadata', sub { $dom->set_metadata(Sys::Virt::Domain::METADATA_ELEMENT, "<a b='c'/>", 'p', 'urn:perl') };
call 'get_metadata', sub { $dom->get_metadata(Sys::Virt::Domain::METADATA_ELEMENT, 'urn:perl') };
call 'xml', sub { my $xml = $dom->get_xml_description; $xml =~ s/<emulator>.*?</<emulator></; $xml };
call 'suspend', sub { $dom->suspend };
call 'destroy', sub { $dom->destroy };
call 'shutdown', sub { $dom->shutdown };
call 'memory_stats', sub { $dom->memory_stats };
call 'create', sub { $dom->create };
heard($driver eq 'qemu' ? 2 : 1);
call 'create', sub { $dom->create };
call 'is_active', sub { $dom->is_active ? 1 : 0 };
call 'id', sub { $dom->get_id > 0 ? 1 : 0 };
call 'by id', sub { $conn->get_domain_by_id($dom->get_id)->get_name };
call 'get_state', sub { $dom->get_state };
call 'get_vcpu_info', sub { map { $_->{number}, $_->{state} } $dom->get_vcpu_info };
call 'num_of_domains', sub { $conn->num_of_domains };
call 'suspend', sub { $dom->suspend };
heard(1);
call 'get_state', sub { $dom->get_state };
call 'suspend', sub { $dom->suspend };
call 'resume', sub { $dom->resume };
heard(1);
call 'resume', sub { $dom->resume };
call 'set_memory', sub { $dom->set_memory(32768, Sys::Virt::Domain::MEM_CONFIG) };
call 'set_vcpus', sub { $dom->set_vcpus(1, Sys::Virt::Domain::VCPU_CONFIG) };
call 'get_vcpus', sub { $dom->get_vcpus(Sys::Virt::Domain::VCPU_CONFIG) };
call 'set_vcpus', sub { $dom->set_vcpus(64, Sys::Virt::Domain::VCPU_CONFIG) };
call 'block_stats', sub { $dom->block_stats('vdz') };
call 'interface_stats', sub { $dom->interface_stats('vnet99') };
call 'interface_addresses', sub { $dom->get_interface_addresses(0) };
call 'get_job_info', sub { $dom->get_job_info->{type} };
call 'has_managed_save_image', sub { $dom->has_managed_save_image };
call 'num_of_snapshots', sub { $dom->num_of_snapshots };
call 'get_snapshot_by_name', sub { $dom->get_snapshot_by_name('none') };
call 'stats', sub { map { [$_->{dom}->get_name, $_->{data}] }
    grep { $_->{dom}->get_name eq 'walker' }
    $conn->get_all_domain_stats(Sys::Virt::Domain::STATS_STATE, undef, 0) };
call 'undefine', sub { $dom->undefine };
heard(1);
call 'is_persistent', sub { $dom->is_persistent ? 1 : 0 };
call 'set_autostart', sub { $dom->set_autostart(1) };
call 'destroy', sub { $dom->destroy };
heard(1);
call 'get_state', sub { $dom->get_state };
$conn->domain_event_deregister_any($lifecycle);

# ---- networks
my $bridge = 'virbr-p' . ($$ % 100000);
my $net_xml = "<network><name>perlnet</name><uuid>11111111-0000-4000-8000-0000000000b2</uuid>"
    . "<bridge name='$bridge'/><mac address='52:54:00:aa:bb:0b'/></network>";
call 'get_network_by_name', sub { $conn->get_network_by_name('nowhere') };
my $net = call 'define_network', sub { $conn->define_network($net_xml) };
call 'is_active', sub { $net->is_active ? 1 : 0 };
call 'create', sub { $net->create };
call 'create', sub { $net->create };
call 'bridge', sub { $net->get_bridge_name eq $bridge ? 1 : 0 };
call 'xml', sub { my $xml = $net->get_xml_description; $xml =~ s/$bridge/BRIDGE/; $xml };
call 'dhcp_leases', sub { $net->get_dhcp_leases };
call 'set_autostart', sub { $net->set_autostart(1) };
call 'get_autostart', sub { $net->get_autostart ? 1 : 0 };
call 'list_all_networks', sub {
    [grep { $_ eq 'perlnet' } @{ names($conn->list_all_networks(Sys::Virt::Network::LIST_ACTIVE)) }];
};
call 'destroy', sub { $net->destroy };
call 'destroy', sub { $net->destroy };
call 'undefine', sub { $net->undefine };

# ---- pools and volumes
my $pool_xml = "<pool type='dir'><name>perlpool</name><uuid>11111111-0000-4000-8000-0000000000b3</uuid>"
    . "<target><path>$folder/pool</path></target></pool>";
my $vol_xml = "<volume><name>disk.img</name><capacity unit='KiB'>64</capacity>"
    . "<allocation>0</allocation><target><format type='raw'/></target></volume>";
call 'get_storage_pool_by_name', sub { $conn->get_storage_pool_by_name('nowhere') };
my $pool = call 'define_storage_pool', sub { $conn->define_storage_pool($pool_xml) };
call 'volumes of an inactive pool', sub { $pool->num_of_storage_volumes };
call 'build', sub { $pool->build };
call 'create', sub { $pool->create };
call 'create', sub { $pool->create };
call 'is_active', sub { $pool->is_active ? 1 : 0 };
call 'get_info', sub { $pool->get_info->{state} };
call 'refresh', sub { $pool->refresh };
my $vol = call 'create_volume', sub { $pool->create_volume($vol_xml) };
call 'create_volume', sub { $pool->create_volume($vol_xml) };
call 'get_name', sub { $vol->get_name };
call 'get_path', sub { $vol->get_path };
call 'get_key', sub { $vol->get_key };
call 'get_info', sub { my $info = $vol->get_info; [$info->{type}, $info->{capacity}] };
call 'list_all_volumes', sub { names($pool->list_all_volumes) };
call 'by path', sub { $conn->get_storage_volume_by_path("$folder/pool/disk.img")->get_name };
call 'by key', sub { $conn->get_storage_volume_by_key('nowhere') };
call 'by name', sub { $pool->get_volume_by_name('nowhere') };
my $text = 'uploaded by Perl' x 500;
call 'upload', sub {
    my $stream = $conn->new_stream;
    $vol->upload($stream, 0, length $text);
    open my $file, '<', \$text or die $!;
    $stream->send_all(sub { read $file, $_[1], $_[2] });
    $stream->finish;
    length $text;
};
call 'download', sub {
    my $stream = $conn->new_stream;
    my $got    = '';
    $vol->download($stream, 0, length $text);
    $stream->recv_all(sub { $got .= $_[1]; $_[2] });
    $stream->finish;
    $got eq $text ? 1 : 0;
};
call 'resize', sub { $vol->resize(131072) };
call 'get_info', sub { $vol->get_info->{capacity} };
call 'clone', sub {
    my $copy = $vol_xml;
    $copy =~ s/disk/copy/;
    $pool->clone_volume($copy, $vol)->get_name;
};
call 'list_all_volumes', sub { names($pool->list_all_volumes) };
call 'wipe', sub { $vol->wipe };
call 'delete', sub { $_->delete } for $pool->list_all_volumes;
call 'destroy', sub { $pool->destroy };
call 'undefine', sub { $pool->undefine };

# ---- node devices and secrets
call 'node device', sub { $conn->get_node_device_by_name('nowhere') };
call 'num_of_node_devices', sub { $conn->num_of_node_devices > 0 ? 1 : 0 };
my $secret = call 'define_secret', sub {
    $conn->define_secret("<secret><uuid>11111111-0000-4000-8000-0000000000b4</uuid>"
        . "<usage type='volume'><volume>$folder/secret</volume></usage></secret>");
};
if ($secret) {
    call 'get_value', sub { $secret->get_value };
    call 'set_value', sub { $secret->set_value('opensesame') };
    call 'get_value', sub { $secret->get_value };
    call 'by usage', sub {
        $conn->get_secret_by_usage(Sys::Virt::Secret::USAGE_TYPE_VOLUME, "$folder/secret")->get_uuid_string;
    };
    call 'undefine', sub { $secret->undefine };
}
print "done\n";
