"""Domains: the settings of migrations.

Source: libvirt's src/qemu/qemu_driver.c.
"""

from __future__ import annotations

from typing import Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain_flags import DomainMigrateMaxSpeedFlags
from aiovirt.daemons.virtd.dispatch.finding import find_domain
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import leaving, migration_settings

_POSTCOPY: Final = DomainMigrateMaxSpeedFlags.POSTCOPY


class MigrationSettings:
    """Serves the settings of migrations."""

    @answers(protocol.DOMAIN_MIGRATE_GET_MAX_SPEED)
    def speed(
        self, session: Session, args: protocol.DomainFlagsArgs
    ) -> protocol.DomainMigrateGetMaxSpeedRet:
        session.host.flavour.check_flags(args.flags, _POSTCOPY, "DomainMigrateGetMaxSpeed")
        domain = find_domain(session, args.dom)
        found = migration_settings.speed(domain, postcopy=bool(args.flags & _POSTCOPY))
        return protocol.DomainMigrateGetMaxSpeedRet(found)

    @answers(protocol.DOMAIN_MIGRATE_SET_MAX_SPEED)
    def set_speed(self, session: Session, args: protocol.DomainMigrateSetMaxSpeedArgs) -> None:
        session.host.flavour.check_flags(args.flags, _POSTCOPY, "DomainMigrateSetMaxSpeed")
        domain = find_domain(session, args.dom)
        postcopy = bool(args.flags & _POSTCOPY)
        migration_settings.set_speed(domain, args.bandwidth, postcopy=postcopy)

    @answers(protocol.DOMAIN_MIGRATE_GET_MAX_DOWNTIME)
    def downtime(
        self, session: Session, args: protocol.DomainFlagsArgs
    ) -> protocol.DomainMigrateGetMaxDowntimeRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainMigrateGetMaxDowntime")
        found = migration_settings.downtime(find_domain(session, args.dom))
        return protocol.DomainMigrateGetMaxDowntimeRet(found)

    @answers(protocol.DOMAIN_MIGRATE_SET_MAX_DOWNTIME)
    def set_downtime(
        self, session: Session, args: protocol.DomainMigrateSetMaxDowntimeArgs
    ) -> None:
        session.host.flavour.check_flags(args.flags, 0, "DomainMigrateSetMaxDowntime")
        migration_settings.set_downtime(find_domain(session, args.dom), args.downtime)

    @answers(protocol.DOMAIN_MIGRATE_GET_COMPRESSION_CACHE)
    def cache(
        self, session: Session, args: protocol.DomainFlagsArgs
    ) -> protocol.DomainMigrateGetCompressionCacheRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainMigrateGetCompressionCache")
        found = migration_settings.cache(find_domain(session, args.dom))
        return protocol.DomainMigrateGetCompressionCacheRet(found)

    @answers(protocol.DOMAIN_MIGRATE_SET_COMPRESSION_CACHE)
    def set_cache(
        self, session: Session, args: protocol.DomainMigrateSetCompressionCacheArgs
    ) -> None:
        session.host.flavour.check_flags(args.flags, 0, "DomainMigrateSetCompressionCache")
        migration_settings.set_cache(find_domain(session, args.dom), args.cacheSize)

    @answers(protocol.DOMAIN_MIGRATE_START_POST_COPY)
    def start_post_copy(self, session: Session, args: protocol.DomainFlagsArgs) -> None:
        session.host.flavour.check_flags(args.flags, 0, "DomainMigrateStartPostCopy")
        domain = find_domain(session, args.dom)
        domain.require_active()
        leaving.switch(domain)
