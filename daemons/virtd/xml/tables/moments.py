"""Snapshots, checkpoints and backups of guests.

Source: libvirt's src/conf (snapshot_conf.c, checkpoint_conf.c, backup_conf.c, moment_conf.c).
"""

from __future__ import annotations

from typing import Final

_LOCATIONS: Final = "no|internal|external|manual"

SNAPSHOT: Final = f"""
domainsnapshot!!
  name #text
  description #text
  state #state
  parent
    name #text
  creationTime #long
  memory snapshot:{_LOCATIONS} file
  disks
    disk* name! snapshot:{_LOCATIONS} type:file|block|network|dir|volume|nvme|vhostuser=file[<source>]
      driver type
        metadata_cache
          max_size #bytescount
      %source
  domain {{whole}}
  inactiveDomain {{whole}}
  cookie {{whole}}
"""

CHECKPOINT: Final = """
domaincheckpoint!!
  name #text
  description #text
  parent
    name #text
  creationTime #long
  disks
    disk* name! checkpoint:no|bitmap bitmap size:ulong{live}
  domain {whole}
"""

BACKUP: Final = """
domainbackup mode:push|pull=push
  incremental #text
  server transport:tcp|unix=tcp tls:bool name port:count socket
  disks
    disk* name! backup:bool=yes type:file|block|network=file[backup=yes] \
            backupmode:full|incremental incremental exportname exportbitmap index:count{live}
      driver type
      target file dev
        %encryption
      scratch file dev
        %encryption
"""
