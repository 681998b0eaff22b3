"""Every target there is."""

from __future__ import annotations

from tests.fuzz import (
    certificate_targets,
    client_target,
    document_targets,
    saved_targets,
    server_target,
    text_targets,
    tls_target,
    virtd_target,
    wire_targets,
)
from tests.fuzz.target import Target


def targets() -> dict[str, Target]:
    """All targets by name."""
    made = [
        wire_targets.framer_target(),
        *wire_targets.decoder_targets(),
        wire_targets.error_target(),
        wire_targets.params_target(),
        wire_targets.hole_target(),
        server_target.server_target(),
        client_target.client_target(),
        tls_target.tls_target(),
        certificate_targets.certificates_target(),
        certificate_targets.tls_settings_target(),
        saved_targets.document_target(),
        saved_targets.journal_target(),
        text_targets.log_target(),
        text_targets.uri_target(),
        text_targets.command_target(),
        text_targets.settings_target(),
        document_targets.documents_target(),
        virtd_target.virtd_target(),
    ]
    return {target.name: target for target in made}
