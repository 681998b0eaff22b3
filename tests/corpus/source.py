"""The test documents: found in a source tree of libvirt, which apt fetches if none is named.

No document of libvirt is part of this project; they are read where they are.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from lxml import etree

_APT = Path("/etc/apt")


def documents(tree: Path, root: str) -> list[tuple[str, str]]:
    """All different documents below a source tree with this root element: path and text.

    Args:
        tree: the unpacked source of libvirt.
        root: the name of the root element.
    """
    found: dict[str, str] = {}
    for folder, folders, files in os.walk(tree / "tests"):
        folders.sort()
        for name in sorted(files):
            if name.endswith(".xml"):
                path = Path(folder, name)
                text = _document(path, root)
                if text is not None:
                    found.setdefault(text, str(path.relative_to(tree)))
    return [(path, text) for text, path in found.items()]


def _document(path: Path, root: str) -> str | None:
    data = path.read_bytes()
    try:
        tag = etree.fromstring(data).tag
        return data.decode("utf-8") if tag == root else None
    except (etree.XMLSyntaxError, ValueError):
        return None


def fetched(place: Path) -> Path:
    """Fetch and unpack the source of libvirt's package with apt, and give its folder.

    Args:
        place: an existing folder that gets it.

    Raises:
        RuntimeError: if apt cannot.
    """
    lists, state = place / "lists", place / "state"
    lists.mkdir()
    (state / "partial").mkdir(parents=True)
    for path in (_APT / "sources.list", *(_APT / "sources.list.d").glob("*")):
        if path.suffix in (".list", ".sources") and path.is_file():
            text = re.sub(
                r"^(Types: )?deb(?= |$)", r"\1deb-src", path.read_text(), flags=re.MULTILINE
            )
            (lists / path.name).write_text(text)
    options = [
        "-o", "Dir::Etc::sourcelist=-",
        "-o", f"Dir::Etc::sourceparts={lists}",
        "-o", f"Dir::State::lists={state}",
        "-o", "APT::Sandbox::User=root",
    ]  # fmt: skip
    for step in (["update", "-qq"], ["source", "-qq", "--only-source", "libvirt"]):
        done = subprocess.run(
            ["apt-get", *options, *step], cwd=place, capture_output=True, text=True, check=False
        )
        if done.returncode:
            reason = done.stderr.strip()[-300:]
            raise RuntimeError(f"apt-get {step[0]} failed; name a folder instead: {reason}")
    return next(path for path in place.glob("libvirt-*") if path.is_dir())
