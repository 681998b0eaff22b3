"""Enumerations and flags of libvirt's public interface, by kind of object.

Each has libvirt's name without `vir`, and its members have libvirt's names without what they begin with:
`VIR_DOMAIN_XML_SECURE` of `virDomainXMLFlags` is `DomainXMLFlags.SECURE`.

The modules are loaded one by one, where they are needed: together they take longer than a start should.
"""
