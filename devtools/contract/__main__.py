"""`python -m devtools.contract`: write what changed of the published contract."""

from devtools.contract.files import stale_files
from devtools.project import ROOT, say


def main() -> None:
    """Write the files that are not as the models have them, and name them."""
    for path, text in stale_files().items():
        if text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        else:
            path.unlink()
        say(f"{'wrote' if text else 'removed'} {path.relative_to(ROOT)}")


main()
