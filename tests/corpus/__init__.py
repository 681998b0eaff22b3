"""Judges `aiovirt.daemons.virtd.xml` by libvirt's own test documents; see docs/documents.md."""
