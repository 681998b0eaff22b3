# A machine's life as foreman and vagrant lead it, by fog-libvirt; prints one line for each step.
# ruby fog.rb URI DRIVER FOLDER [NETWORK]
# Without a network the machine has an interface in the network "default" and is not started.
require 'fog/libvirt'

uri, driver, folder, network = ARGV
$stdout.sync = true

def step(label)
  puts "#{label} = #{yield.inspect}"
rescue StandardError => error
  puts "#{label} ! #{error.class} #{error.message}"
end

compute = Fog::Compute.new(provider: 'libvirt', libvirt_uri: uri)
step('libversion') { compute.libversion }
step('node') { compute.nodes.first.respond_to?(:hypervisor) ? compute.nodes.first.hypervisor : compute.get_node_info[0][:type] }
step('servers') { compute.servers.all.map(&:name).sort - ['machine'] }
step('interfaces') { compute.interfaces.all.map(&:name).sort } if driver == 'test'

# ---- a pool with a template, uploaded
pool = compute.pools.new(persistent: true, xml: <<XML)
<pool type='dir'><name>fogpool</name><uuid>11111111-0000-4000-8000-0000000000f1</uuid>
<target><path>#{folder}/pool</path></target></pool>
XML
step('pool') { pool.save; pool.name }
step('build') { pool.build }
step('start') { pool.start }
step('pools') { compute.pools.all(name: 'fogpool').map { |one| [one.name, one.active, one.persistent, one.state] } }
File.write("#{folder}/template", 'boot' * 4096)
template = compute.volumes.new(name: 'template.img', pool_name: 'fogpool', capacity: '64k', allocation: '0k')
step('template') { template.save; template.path.sub(folder, '') }
step('template again') { compute.volumes.create(name: 'template.img', pool_name: 'fogpool', capacity: '64k', allocation: '0k') }
template = compute.volumes.all(name: 'template.img').first
step('found') { [template.name, template.pool_name, template.format_type, template.capacity] }
step('upload') { template.upload_image("#{folder}/template") } if driver == 'qemu'
step('clone') { template.clone_volume('machine.img').name }
step('volumes') { compute.volumes.all.map(&:name).sort & %w[template.img machine.img] }

# ---- the machine
disk = compute.volumes.all(name: 'machine.img').first
machine = compute.servers.new(
  name: 'machine', domain_type: driver, memory_size: 65536, cpus: 2, volumes: [disk],
  nics: [{ type: 'network', network: network || 'default', model: 'virtio', mac: '52:54:00:f0:f0:01' }],
  display: { type: 'vnc', listen: '127.0.0.1', port: '-1', password: '' }, guest_agent: false
)
step('define') { machine.save; machine.name }
step('define again') { compute.servers.new(xml: '<domain/>').save }
machine = compute.servers.all(name: 'machine').first
step('state') { [machine.state, machine.active, machine.persistent, machine.cpus, machine.memory_size, machine.os_type] }
step('nics') { machine.nics.map { |nic| [nic.type, nic.network, nic.model, nic.mac] } }
step('disk') { machine.disk_path.sub(folder, '') }
step('autostart') { machine.update_autostart(true) }
step('autostart') { compute.servers.get(machine.uuid).autostart }
step('autostart') { machine.update_autostart(false) }
step('get nothing') { compute.servers.get('11111111-1111-1111-1111-111111111111') }

if network || driver == 'test'
  step('start') { machine.start }
  step('ready?') { machine.wait_for(20) { ready? }.class }
  if network
    step('address') { machine.wait_for(20) { !public_ip_address.nil? }; machine.public_ip_address.match?(/\A192\.168\.122\.\d+\z/) }
    step('lease') { compute.networks.all(name: network).first.dhcp_leases(machine.mac, 0).map { |lease| [lease['type'], lease['prefix']] } }
    step('display') { machine.reload.display[:port].to_i >= 5900 }
  end
  step('suspend') { machine.suspend; machine.reload.state }
  step('resume') { machine.resume; machine.reload.state }
  step('reboot') { machine.reboot }
  step('shutdown') { machine.shutdown; machine.wait_for(20) { stopped? }.class }
  step('start') { machine.start }
  step('halt') { machine.poweroff; machine.reload.state }
end
step('destroy') { machine.destroy(destroy_volumes: true) }
step('volumes') { compute.volumes.all.map(&:name).sort & %w[template.img machine.img] }
step('servers') { compute.servers.all(name: 'machine') }
step('delete') { template.destroy }
step('pool') { compute.pools.all(name: 'fogpool').first.destroy }
puts 'done'
