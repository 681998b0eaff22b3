"""PHP: php-libvirt, as Debian has it, on virtd as on libvirtd."""

from __future__ import annotations

from pathlib import Path

from tests import harness
from tests.clients.sides import HERE, HOSTS, both_sides, run
from tests.clients.sources import program


def test_a_walk_through_php_libvirt_is_the_same() -> None:
    php = program("php", "php-cli")
    if run([php, "-r", "exit((int) !extension_loaded('libvirt'));"]).returncode:
        harness.missing("php-libvirt (package php8.2-libvirt-php) is not installed")
    with both_sides() as sides:
        for driver in HOSTS:

            def walk(uri: str, folder: Path, driver: str = driver) -> list[str]:
                return [php, str(HERE / "php" / "walk.php"), uri, driver, str(folder)]

            assert sides.same(driver, walk).endswith("done\n")
