# A walk through the everyday calls of ruby-libvirt; prints one line for each.
# ruby walk.rb URI DRIVER FOLDER
require 'libvirt'

URI_, DRIVER, FOLDER = ARGV
$stdout.sync = true
# ruby-libvirt 0.7.1 keeps what it tells libvirt of callbacks where the collector does not see it.
GC.disable

# Make a call, and print its result or its refusal; gives the result.
def call(label)
  result = yield
  puts "#{label} = #{shown(result)}"
  result
rescue Libvirt::Error => error
  puts "#{label} ! #{error.libvirt_code} #{error.libvirt_component} #{error.libvirt_message}"
  nil
end

def shown(value)
  case value
  when Array then "[#{value.map { |one| shown(one) }.join(', ')}]"
  when Hash then "{#{value.sort_by { |key, _| key.to_s }.map { |key, one| "#{key}: #{shown(one)}" }.join(', ')}}"
  when String, Numeric, Symbol, true, false, nil then value.inspect
  else
    value.respond_to?(:name) ? "#{value.class} #{value.name}" : value.class.to_s
  end
end

GUEST = <<XML
<domain type='#{DRIVER}'>
  <name>rubyist</name>
  <uuid>11111111-0000-4000-8000-0000000000e1</uuid>
  <memory unit='MiB'>64</memory>
  <vcpu>2</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/>
      <source file='#{FOLDER}/guest.img'/>
      <target dev='vda' bus='virtio'/>
    </disk>
  </devices>
</domain>
XML

POOL = <<XML
<pool type='dir'><name>rubypool</name><uuid>11111111-0000-4000-8000-0000000000e2</uuid>
<target><path>#{FOLDER}/pool</path></target></pool>
XML

def volume(name)
  "<volume><name>#{name}</name><capacity unit='KiB'>64</capacity><allocation>0</allocation>" \
    "<target><format type='raw'/></target></volume>"
end

File.write("#{FOLDER}/guest.img", "\0" * 65536)
conn = Libvirt.open(URI_)

# ---- the host
call('type') { conn.type }
call('libversion') { conn.libversion }
call('secure?') { conn.secure? }
call('alive?') { conn.alive? }
call('encrypted?') { conn.encrypted? }
call('max_vcpus') { conn.max_vcpus(DRIVER) }
call('node_get_info') { conn.node_get_info.model.size > 2 }
call('capabilities') { conn.capabilities.include?('<guest>') }
call('num_of_domains') { conn.num_of_domains }
call('num_of_defined_domains') { conn.num_of_defined_domains }
call('list_defined_domains') { conn.list_defined_domains }
call('list_all_domains') { conn.list_all_domains(0) }
call('list_defined_networks') { conn.list_defined_networks.sort } if DRIVER == 'test'
call('lookup_domain_by_name') { conn.lookup_domain_by_name('nowhere') }
call('lookup_domain_by_id') { conn.lookup_domain_by_id(4321) }
call('lookup_domain_by_uuid') { conn.lookup_domain_by_uuid('11111111-1111-1111-1111-111111111111') }
call('lookup_network_by_name') { conn.lookup_network_by_name('nowhere') }
call('lookup_storage_pool_by_name') { conn.lookup_storage_pool_by_name('nowhere') }
call('lookup_nodedevice_by_name') { conn.lookup_nodedevice_by_name('nowhere') }
call('num_of_secrets') { conn.num_of_secrets }
call('define_domain_xml') { conn.define_domain_xml('<domain') }
call('create_domain_xml') { conn.create_domain_xml('<network/>') }

# ---- events: the caller gives the loop; libvirt asks for handles and timers by calls of these
handles = {}
timers = {}
Libvirt.event_register_impl(
  ->(fd, events, opaque) { handles[handles.size + 1] = [fd, events, opaque]; handles.size },
  ->(id, events) { handles[id][1] = events },
  ->(id) { handles.delete(id)[2] },
  ->(interval, opaque) { timers[timers.size + 1] = [interval, opaque]; timers.size },
  ->(id, interval) { timers[id][0] = interval },
  ->(id) { timers.delete(id)[1] }
)
watching = Libvirt.open(URI_)
heard = []
callback = watching.domain_event_register_any(
  Libvirt::Connect::DOMAIN_EVENT_ID_LIFECYCLE,
  lambda do |_conn, dom, event, detail, _opaque|
    # QEMU tells of its end, and whether libvirtd still listens then is chance.
    heard << [dom.name, event, detail] if event != 6
  end
)

turn = lambda do
  live = handles.select { |_, (fd, events, _)| fd >= 0 && events != 0 }
  readers = live.select { |_, (_, events, _)| events & 1 != 0 }.map { |_, (fd, _, _)| IO.for_fd(fd, autoclose: false) }
  writers = live.select { |_, (_, events, _)| events & 2 != 0 }.map { |_, (fd, _, _)| IO.for_fd(fd, autoclose: false) }
  ready = IO.select(readers, writers, nil, 0.05) || [[], [], []]
  live.each do |id, (fd, _, opaque)|
    happened = 0
    happened |= 1 if ready[0].any? { |io| io.fileno == fd }
    happened |= 2 if ready[1].any? { |io| io.fileno == fd }
    Libvirt.event_invoke_handle_callback(id, fd, happened, opaque) if happened != 0
  end
  timers.to_a.each { |id, (interval, opaque)| Libvirt.event_invoke_timeout_callback(id, opaque) if interval >= 0 && interval < 100 }
end

expect = lambda do |count|
  limit = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 30
  while heard.size < count
    raise 'no event in 30 seconds' if Process.clock_gettime(Process::CLOCK_MONOTONIC) > limit
    turn.call
  end
  heard.shift(count).each { |event| puts "event #{event}" }
end

# ---- a domain's life
dom = call('define_domain_xml') { conn.define_domain_xml(GUEST) }
expect.call(1)
call('name') { dom.name }
call('uuid') { dom.uuid }
call('id') { dom.id }
call('os_type') { dom.os_type }
call('active?') { dom.active? }
call('persistent?') { dom.persistent? }
call('updated?') { dom.updated? }
call('state') { dom.state }
call('info') { info = dom.info; [info.state, info.max_mem, info.memory, info.nr_virt_cpu] }
call('max_memory') { dom.max_memory }
call('max_vcpus') { dom.max_vcpus }
call('num_vcpus') { dom.num_vcpus(Libvirt::Domain::VCPU_CONFIG) }
call('autostart') { dom.autostart }
call('autostart=') { dom.autostart = true }
call('autostart') { dom.autostart }
call('autostart=') { dom.autostart = false }
call('xml_desc') { dom.xml_desc }
call('suspend') { dom.suspend }
call('shutdown') { dom.shutdown }
call('destroy') { dom.destroy }
call('create') { dom.create }
expect.call(DRIVER == 'qemu' ? 2 : 1)
call('create') { dom.create }
call('state') { dom.state }
call('lookup_domain_by_id') { conn.lookup_domain_by_id(dom.id) }
call('get_vcpus') { dom.get_vcpus.map { |one| [one.number, one.state] } }
call('suspend') { dom.suspend }
expect.call(1)
call('state') { dom.state }
call('resume') { dom.resume }
expect.call(1)
call('memory=') { dom.memory = [32768, Libvirt::Domain::MEM_CONFIG] }
call('vcpus=') { dom.vcpus = [1, Libvirt::Domain::VCPU_CONFIG] }
call('num_vcpus') { dom.num_vcpus(Libvirt::Domain::VCPU_CONFIG) }
call('block_stats') { dom.block_stats('vdz') }
call('ifinfo') { dom.ifinfo('vnet99') }
call('has_managed_save?') { dom.has_managed_save? }
call('num_of_snapshots') { dom.num_of_snapshots }
call('lookup_snapshot_by_name') { dom.lookup_snapshot_by_name('none') }
call('metadata') { dom.metadata(Libvirt::Domain::METADATA_TITLE) }
call('scheduler_type') { dom.scheduler_type } if DRIVER == 'test'
call('job_info') { dom.job_info.type }
call('undefine') { dom.undefine }
expect.call(1)
call('persistent?') { dom.persistent? }
call('destroy') { dom.destroy }
expect.call(1)
call('info') { dom.info }

# ---- networks
bridge = "virbr-r#{Process.pid % 100000}"
net = call('define_network_xml') do
  conn.define_network_xml("<network><name>rubynet</name><uuid>11111111-0000-4000-8000-0000000000e3</uuid>" \
    "<bridge name='#{bridge}'/><mac address='52:54:00:aa:bb:0e'/></network>")
end
call('active?') { net.active? }
call('bridge_name') { net.bridge_name == bridge }
call('create') { net.create }
call('create') { net.create }
call('xml_desc') { net.xml_desc.sub(bridge, 'BRIDGE') }
call('autostart=') { net.autostart = true }
call('autostart?') { net.autostart? }
call('dhcp_leases') { net.dhcp_leases }
call('list_networks') { conn.list_networks.include?('rubynet') }
call('destroy') { net.destroy }
call('destroy') { net.destroy }
call('undefine') { net.undefine }

# ---- pools and volumes
pool = call('define_storage_pool_xml') { conn.define_storage_pool_xml(POOL) }
call('list_volumes') { pool.list_volumes }
call('build') { pool.build }
call('create') { pool.create }
call('active?') { pool.active? }
call('persistent?') { pool.persistent? }
call('info') { pool.info.state }
call('create_volume_xml') { pool.create_volume_xml(volume('disk.img')) }
call('create_volume_xml') { pool.create_volume_xml(volume('disk.img')) }
vol = call('lookup_volume_by_name') { pool.lookup_volume_by_name('disk.img') }
call('lookup_volume_by_name') { pool.lookup_volume_by_name('nowhere') }
call('path') { vol.path }
call('key') { vol.key }
call('info') { info = vol.info; [info.type, info.capacity] }
call('pool') { vol.pool }
call('lookup_volume_by_path') { pool.lookup_volume_by_path(vol.path) }
call('create_volume_xml_from') { pool.create_volume_xml_from(volume('copy.img'), vol) }
text = 'uploaded by Ruby' * 500
call('upload') do
  stream = conn.stream
  vol.upload(stream, 0, text.size)
  left = text.dup
  stream.sendall { |_opaque, count| part = left.slice!(0, count); [part.size, part] }
  stream.finish
end
call('download') do
  stream = conn.stream
  got = +''
  vol.download(stream, 0, text.size)
  stream.recvall { |part, _opaque| got << part; part.size }
  stream.finish
  got == text
end
call('num_of_volumes') { pool.num_of_volumes }
call('list_volumes') { pool.list_volumes.sort }
call('refresh') { pool.refresh }
call('delete') { vol.delete }
call('delete') { vol.delete }
call('list_volumes') { pool.list_volumes }
call('destroy') { pool.destroy }
call('undefine') { pool.undefine }
conn.close
puts 'done'
# Ruby's own end would free the watching connection, whose loop runs no more.
exit!(0)
