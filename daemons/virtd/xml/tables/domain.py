"""Guests: everything of a domain document but its devices.

Source: libvirt's src/conf (domain_conf.c virDomainDefFormatInternalSetRootName and what it calls,
cpu_conf.c, numa_conf.c) and src/util/virsysinfo.c.
"""

from __future__ import annotations

from typing import Final

TUNING: Final = """
%tuning
  blkiotune
    weight #count
    device*
      path #text
      weight #count
      read_iops_sec #count
      write_iops_sec #count
      read_bytes_sec #longcount
      write_bytes_sec #longcount
  memtune
    hard_limit #KiB {limit}
    soft_limit #KiB {limit}
    min_guarantee #KiBcount
    swap_hard_limit #KiB {limit}
  memoryBacking
    hugepages!
      page* size:ulong! unit nodeset:set {page}
    nosharepages!
    locked!
    source type:(none)|file|anonymous|memfd
    access mode:(default)|shared|private
    allocation mode:(none)|immediate|ondemand threads:count
    discard!
  vcpu+ placement:static|auto=static cpuset:set current:uint #uint
  vcpus
    vcpu*^id id:uint! enabled:bool! hotpluggable:bool order:count
  iothreads #count
  iothreadids
    iothread* id:uint! thread_pool_min:uint thread_pool_max:uint
  defaultiothread thread_pool_min:uint thread_pool_max:uint
  cputune
    shares #ulong
    period #longcount
    quota #long {nonzero}
    global_period #longcount
    global_quota #long {nonzero}
    emulator_period #longcount
    emulator_quota #long {nonzero}
    iothread_period #longcount
    iothread_quota #long {nonzero}
    vcpupin*^vcpu vcpu:uint! cpuset:set!
    emulatorpin cpuset:set!
    iothreadpin*^iothread iothread:uint! cpuset:set!
    emulatorsched scheduler:batch|idle|fifo|rr! priority:int[scheduler=fifo|rr]
    vcpusched*^vcpus vcpus:set scheduler:batch|idle|fifo|rr! priority:int[scheduler=fifo|rr]
    iothreadsched*^iothreads iothreads:set scheduler:batch|idle|fifo|rr! \
            priority:int[scheduler=fifo|rr]
    cachetune* vcpus:set!
      cache* id:uint! level:uint! type:both|code|data! size:ulong! unit {cache}
      monitor* level:uint! vcpus:set!
    memorytune* vcpus:set!
      node* id:uint! bandwidth:uint!
      monitor* vcpus:set!
  numatune
    memory mode:strict|preferred|interleave|restrictive=strict nodeset:set placement:static|auto \
            {placement}
    memnode*^cellid cellid:uint! mode:strict|preferred|interleave|restrictive=strict nodeset:set!
  resource
    partition #text
    fibrechannel appid
"""

_CAPABILITIES: Final = (
    "audit_control audit_write block_suspend chown dac_override dac_read_search fowner fsetid ipc_lock"
    " ipc_owner kill lease linux_immutable mac_admin mac_override mknod net_admin net_bind_service"
    " net_broadcast net_raw setgid setfcap setpcap setuid sys_admin sys_boot sys_chroot sys_module"
    " sys_nice sys_pacct sys_ptrace sys_rawio sys_resource sys_time sys_tty_config syslog wake_alarm"
)

FEATURES: Final = f"""
%features
  features
    acpi!
    apic! eoi:switch
    pae!
    hap state:switch=on
    viridian!
    privnet!
    hyperv!! mode:(none)|custom|passthrough=custom {{mode}}
      relaxed state:switch!
      vapic state:switch!
      spinlocks state:switch! retries:uint[state=on]
      vpindex state:switch!
      runtime state:switch!
      synic state:switch!
      stimer state:switch!
        direct [../state=on] state:on|(off)
      reset state:switch!
      vendor_id state:switch! value[state=on]
      frequencies state:switch!
      reenlightenment state:switch!
      tlbflush state:switch!
      ipi state:switch!
      evmcs state:switch!
      avic state:switch!
    kvm!!
      hidden state:switch!
      hint-dedicated state:switch!
      poll-control state:switch!
      pv-ipi state:switch!
      dirty-ring state:switch! size:count[state=on]
    pvspinlock state:switch=on
    capabilities policy:default|allow|deny=default {{capabilities}}
{"".join(f"      {name} state:switch=on" + chr(10) for name in _CAPABILITIES.split())}\
    pmu state:switch=on
    vmport state:switch=on
    gic! version:2|3|4|host
    smm state:switch=on
      tseg [../state=on] #tseg {{pretty}}
    ioapic driver:(none)|qemu|kvm
    hpt resizing:(none)|enabled|disabled|required
      maxpagesize #KiBcount
    vmcoreinfo state:switch=on
    htm state:switch=on
    nested-hv state:switch=on
    msrs unknown:ignore|fault!
    ccf-assist state:switch=on
    xen!!
      e820_host state:switch!
      passthrough state:switch! mode:(default)|sync_pt|share_pt[state=on]
    cfpc value:(none)|broken|workaround|fixed
    sbbc value:(none)|broken|workaround|fixed
    ibs value:(none)|broken|workaround|fixed-ibs|fixed-ccd|fixed-na
    tcg
      tb-cache #KiBcount
"""

CPU: Final = """
%cpu
  cpu mode:custom|host-model|host-passthrough|maximum match:minimum|exact|strict \
          check:none|partial|full migratable:switch {cpu}
    model fallback:allow|forbid=allow vendor_id #text {model}
    vendor [../mode!=host-passthrough] #text
    topology sockets:uint! dies:uint=1 cores:uint! threads:uint!
    cache level:uint mode:emulate|passthrough|disable!
    maxphysaddr mode:emulate|passthrough! bits:uint
    feature* policy:force|require|optional|disable|forbid=require name!
    numa
      cell*^id id:uint cpus:set memory unit memAccess:(default)|shared|private discard:bool {cell}
        distances
          sibling*^id id:uint! value:uint!
        cache*^level level:uint! associativity:none|direct|full! policy:none|writeback|writethrough!
          size value:ulong! unit {kib}
          line value:ulong! unit {bytes}
      interconnects
        latency* initiator:uint! target:uint! cache:uint type:access|read|write! value:ulong!
        bandwidth* initiator:uint! target:uint! cache:uint type:access|read|write! value:ulong! \
                unit {kib}
"""

_ARCHITECTURES: Final = (
    "alpha|armv6l|armv7l|armv7b|aarch64|cris|i686|ia64|lm32|loongarch64|m68k|microblaze|"
    "microblazeel|mips|mipsel|mips64|mips64el|openrisc|parisc|parisc64|ppc|ppc64|ppc64le|"
    "ppcemb|riscv32|riscv64|s390|s390x|sh4|sh4eb|sparc|sparc64|unicore32|x86_64|xtensa|xtensaeb"
)

BOOT: Final = f"""
%os
  bootloader #text
  bootloader_args [../<bootloader>] #text
  os! firmware:(none)|bios|efi
    type arch:{_ARCHITECTURES} machine #ostype
    firmware [../firmware=efi|bios] {{firmware}}
      feature*^name enabled:bool! name:enrolled-keys|secure-boot!
    init #text
    initarg* #text
    initenv* name! #text
    initdir #text
    inituser #text
    initgroup #text
    loader readonly:bool secure:bool type:(none)|rom|pflash stateless:bool #text {{loader}}
    nvram template type:file|block|network|volume[<source>] #text
      %source
    kernel #text
    initrd #text
    cmdline #text
    dtb #text
    root #text
    acpi
      table type:slic|! #text
    boot* dev:fd|cdrom|hd|network!
    bootmenu enable:bool timeout:uint[enable=yes]
    bios useserial:bool rebootTimeout:int
    smbios mode:(none)|emulate|host|sysinfo
  idmap
    uid*^start start:uint! target:uint! count:uint!
    gid*^start start:uint! target:uint! count:uint!
%sysinfo
  sysinfo* type:smbios|fwcfg!
    bios [../type=smbios]
      entry*^name name:vendor|version|date|release #text
    entry* [../type=fwcfg] name! file #text
    system [../type=smbios]
      entry*^name name:manufacturer|product|version|serial|uuid|sku|family #text
    baseBoard* [../type=smbios]
      entry*^name name:manufacturer|product|version|serial|asset|location #text
    chassis [../type=smbios]
      entry*^name name:manufacturer|version|serial|asset|sku #text
    oemStrings [../type=smbios]
      entry* #text
"""

_TYPES: Final = (
    "none|qemu|kqemu|kvm|xen|lxc|uml|openvz|test|vmware|hyperv|vbox|phyp|parallels|bhyve|vz|hvf"
)
_EVENTS: Final = (
    "cmt|mbmt|mbml|cpu_cycles|instructions|cache_references|cache_misses|branch_instructions|"
    "branch_misses|bus_cycles|stalled_cycles_frontend|stalled_cycles_backend|ref_cpu_cycles|"
    "cpu_clock|task_clock|page_faults|context_switches|cpu_migrations|page_faults_min|"
    "page_faults_maj|alignment_faults|emulation_faults"
)

DOMAIN: Final = f"""
domain \
        type:{_TYPES}! \
        id:int{{live}}
  name #text
  uuid+ #text {{uuid}}
  genid! #text {{uuid}}
  title #text
  description #text
  metadata {{whole,metadata}}
  maxMemory slots:uint! unit #KiB
  memory dumpCore:switch unit #KiB
  currentMemory unit #KiB
  %tuning
  %sysinfo
  %os
  %features
  %cpu
  clock+ offset:utc|localtime|variable|timezone|absolute=utc adjustment basis:utc|localtime \
          timezone start:ulong {{clock}}
    timer* name:platform|pit|rtc|hpet|tsc|kvmclock|hypervclock|armvtimer! present:bool \
            tickpolicy:(none)|delay|catchup|merge|discard track:(none)|boot|guest|wall|realtime \
            frequency:longcount[name=tsc] \
            mode:(none)|auto|native|emulate|paravirt|smpsafe[name=tsc]
      catchup threshold:longcount slew:longcount limit:longcount
  on_poweroff #lifecycle
  on_reboot #lifecycle
  on_crash #lifecycle
  on_lockfailure #lockfailure
  pm
    suspend-to-mem enabled:bool
    suspend-to-disk enabled:bool
  perf
    event*^name \
            name:{_EVENTS}! \
            enabled:bool!
  devices!!+
    %devices
  seclabel* type:(default)|none|dynamic|static model relabel:bool {{seclabel}}
    label #text
    imagelabel {{live}} #text
    baselabel [../type=dynamic] #text
  keywrap
    cipher*^name name:aes|dea! state:switch!
  launchSecurity type:sev|s390-pv! kernelHashes:bool
    cbitpos #uint
    reducedPhysBits #uint
    policy #hex4
    dhCert #text
    session #text
"""
