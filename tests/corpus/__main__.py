"""Judge our documents by libvirt's corpus, with libvirt's test driver as the judge.

`python -m tests.corpus domains` prints how many of libvirt's test documents dump back the same, and
the rules by which the others differ. The documents come from a source tree of libvirt, which apt
fetches unless one is named; the judge is the installed C library.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.corpus import comparison, oracle, source

KINDS = {"domains": "domain", "networks": "network", "pools": "pool"}


def main(arguments: list[str]) -> int:
    """The command; 1 when a kind has less than the least percentage."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], help="all, unless some are named")
    parser.add_argument("--libvirt-source", type=Path, help="an unpacked source tree of libvirt")
    parser.add_argument("--library", help="path of libvirt.so.0, for another libvirt")
    parser.add_argument("--least", type=float, default=90.0, help="percentage that must be reached")
    parser.add_argument("--examples", action="store_true", help="a document for each difference")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as place:
        try:
            tree = options.libvirt_source or source.fetched(Path(place))
            results = {
                name: _judged(KINDS[name], tree, options.library) for name in options.kinds or KINDS
            }
        except (RuntimeError, OSError) as error:
            print(f"tests.corpus: {error}", file=sys.stderr)
            return 2
    for name, result in results.items():
        _print(name, result, examples=options.examples)
    return int(any(result.percent < options.least for result in results.values()))


def _judged(kind: str, tree: Path, library: str | None) -> comparison.Result:
    documents = source.documents(tree, kind)
    if not documents:
        raise RuntimeError(f"no document with the root <{kind}> below {tree / 'tests'}")
    verdicts = oracle.judge([(kind, text) for _, text in documents], library)
    return comparison.compare(kind, documents, verdicts)


def _print(name: str, result: comparison.Result, *, examples: bool) -> None:
    print(
        f"{name}: {result.percent:.1f} % the same ({result.same} of {result.kept} that libvirt keeps);"
        f" {result.refused_too} of {result.refused} refusals, {result.same_code} with the same code"
    )
    for rule, count in result.differences.most_common():
        print(f"  {count:4} {rule}" + (f" ({result.examples[rule]})" if examples else ""))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
