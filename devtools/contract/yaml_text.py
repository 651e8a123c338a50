"""YAML that looks the same each time: no anchors, no folding, texts of several lines as blocks."""

from io import StringIO
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.representer import SafeRepresenter
from typing_extensions import override

_WIDTH_MAX: Final = 1_000_000  # of a line: a folded text changes in many lines when one word does


class _Representer(SafeRepresenter):
    @override
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(representer: SafeRepresenter, text: str) -> Any:
    style = "|" if "\n" in text else None
    return representer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Representer.add_representer(str, _text)


def yaml_text(value: Any) -> str:
    """Return a value of JSON's kinds as YAML, members in their order."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # inferred from its default, None
    yaml.allow_unicode = True
    yaml.width = _WIDTH_MAX
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = StringIO()
    yaml.dump(value, out)
    return out.getvalue()
