<?php
// A walk through php-libvirt, in the order of a machine's life: php walk.php URI DRIVER FOLDER.
// Each line is a call with its result, or with libvirt's text when it was refused.

error_reporting(E_ERROR);
[, $uri, $driver, $folder] = $argv;

function tell(string $name, $result)
{
    $shown = is_resource($result) ? get_resource_type($result) : json_encode($result, JSON_UNESCAPED_SLASHES);
    $error = $result === false || $result === null ? libvirt_get_last_error() : '';
    echo $name, ' = ', $shown, $error ? "  [$error]" : '', "\n";
    return $result;
}

$host = tell('connect', libvirt_connect($uri, false));
tell('encrypted', libvirt_connect_get_encrypted($host));
tell('secure', libvirt_connect_get_secure($host));
tell('processors', libvirt_connect_get_maxvcpus($host));
tell('emulator', libvirt_connect_get_emulator($host));
tell('node', array_keys(libvirt_node_get_info($host)));
tell('counts', libvirt_domain_get_counts($host));
tell('networks', libvirt_list_networks($host));

$document = "<pool type='dir'><name>shelf</name><target><path>$folder</path></target></pool>";
$pool = tell('pool', libvirt_storagepool_define_xml($host, $document, 0));
tell('build', libvirt_storagepool_build($pool));
tell('start', libvirt_storagepool_create($pool));
tell('active', libvirt_storagepool_is_active($pool));
tell('autostart', libvirt_storagepool_set_autostart($pool, 1));
tell('is autostart', libvirt_storagepool_get_autostart($pool));
$document = "<volume><name>a.img</name><capacity unit='M'>8</capacity><target><format type='raw'/></target></volume>";
$volume = tell('volume', libvirt_storagevolume_create_xml($pool, $document));
tell('volume info', libvirt_storagevolume_get_info($volume));
tell('volume path', libvirt_storagevolume_get_path($volume));
tell('resized', libvirt_storagevolume_resize($volume, 16 * 1048576, 0));
$document = "<volume><name>b.img</name><capacity unit='M'>8</capacity></volume>";
$copy = tell('copy', libvirt_storagevolume_create_xml_from($pool, $document, $volume));

$document = "<network><name>net</name><bridge name='phpbr0'/><ip address='10.77.1.1' netmask='255.255.255.0'/></network>";
$network = tell('network', libvirt_network_define_xml($host, $document));
tell('bridge', libvirt_network_get_bridge($network));
tell('network info', libvirt_network_get_information($network));
tell('network active', libvirt_network_get_active($network));

$devices = $driver === 'test' ? '' : "<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
  <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='$folder/a.img'/>
  <target dev='vda' bus='virtio'/></disk></devices>";
$type = $driver === 'test' ? 'test' : 'qemu';
$document = "<domain type='$type'><name>machine</name><memory>65536</memory><vcpu>2</vcpu>
  <os><type arch='x86_64'>hvm</type></os>$devices</domain>";
$machine = tell('define', libvirt_domain_define_xml($host, $document));
tell('id', libvirt_domain_get_id($machine));
tell('start', libvirt_domain_create($machine));
tell('again', libvirt_domain_create($machine));
tell('active', libvirt_domain_is_active($machine));
tell('persistent', libvirt_domain_is_persistent($machine));
$info = libvirt_domain_get_info($machine);
unset($info['cpuUsed']);
tell('info', $info);
tell('disks', libvirt_domain_get_disk_devices($machine));
tell('interfaces', libvirt_domain_get_interface_devices($machine));
tell('suspend', libvirt_domain_suspend($machine));
tell('resume', libvirt_domain_resume($machine));
tell('memory', libvirt_domain_set_memory($machine, 32768));
tell('most memory', libvirt_domain_set_max_memory($machine, 65536));
tell('autostart', libvirt_domain_set_autostart($machine, 1));
tell('is autostart', libvirt_domain_get_autostart($machine));
tell('job', array_keys(libvirt_domain_get_job_info($machine) ?: []));
tell('title', libvirt_domain_set_metadata($machine, 1, 'a title', '', '', 0));
tell('is title', libvirt_domain_get_metadata($machine, 1, '', 0));
tell('saved', libvirt_domain_managedsave($machine));
tell('started', libvirt_domain_create($machine));
tell('destroy', libvirt_domain_destroy($machine));
tell('processors', libvirt_domain_change_vcpus($machine, 1));
tell('undefine', libvirt_domain_undefine($machine));
tell('lookup', libvirt_domain_lookup_by_name($host, 'machine'));

tell('no copy', libvirt_storagevolume_delete($copy, 0));
tell('no volume', libvirt_storagevolume_delete($volume, 0));
tell('refresh', libvirt_storagepool_refresh($pool, 0));
tell('volumes', libvirt_storagepool_list_volumes($pool));
tell('stop', libvirt_storagepool_destroy($pool));
tell('no pool', libvirt_storagepool_undefine($pool));
tell('no network', libvirt_network_undefine($network));
echo "done\n";
