"""The features of x86 processors by libvirt's names.

Source: libvirt's src/cpu_map/x86_features.xml.
"""

from __future__ import annotations

from typing import Final

_NAMES: Final = """
fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 pn clflush ds acpi mmx
fxsr sse sse2 ss ht tm ia64 pbe pni pclmuldq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid fma
cx16 xtpr pdcm pcid dca sse4.1 sse4.2 x2apic movbe popcnt tsc-deadline aes xsave osxsave avx f16c
rdrand hypervisor arat fsgsbase tsc_adjust sgx bmi1 hle avx2 smep bmi2 erms invpcid rtm cmt mpx
avx512f avx512dq rdseed adx smap avx512ifma pcommit clflushopt clwb intel-pt avx512pf avx512er
avx512cd sha-ni avx512bw avx512vl avx512vbmi umip pku ospke waitpkg avx512vbmi2 gfni vaes
vpclmulqdq avx512vnni avx512bitalg avx512-vpopcntdq la57 rdpid bus-lock-detect cldemote movdiri
movdir64b sgxlc pks avx512-4vnniw avx512-4fmaps fsrm avx512-vp2intersect md-clear serialize
tsx-ldtrk pconfig arch-lbr amx-bf16 avx512-fp16 amx-tile amx-int8 spec-ctrl stibp
arch-capabilities core-capability ssbd avx-vnni avx512-bf16 xsaveopt xsavec xgetbv1 xsaves xfd
mbm_total mbm_local sgx1 sgx2 sgx-exinfo sgx-debug sgx-mode64 sgx-provisionkey sgx-tokenkey
sgx-kss intel-pt-lip syscall nx mmxext fxsr_opt pdpe1gb rdtscp lm 3dnowext 3dnow lahf_lm
cmp_legacy svm extapic cr8legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt lwp
fma4 tce cvt16 nodeid_msr tbm topoext perfctr_core perfctr_nb invtsc clzero xsaveerptr wbnoinvd
ibpb ibrs amd-stibp amd-ssbd virt-ssbd amd-no-ssb npt lbrv svm-lock nrip-save tsc-scale vmcb-clean
flushbyasid decodeassists pause-filter pfthreshold avic v-vmsave-vmload vgif svme-addr-chk
rdctl-no ibrs-all rsba skip-l1dfl-vmentry ssb-no mds-no pschange-mc-no tsx-ctrl taa-no
split-lock-detect
"""

FEATURES: Final = frozenset(_NAMES.split())
