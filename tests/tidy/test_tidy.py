"""The repository keeps the rules that no linter knows; and no rule has gone blind."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FunctionType

import pytest

from tests.tidy import addresses, documents, names, reach, runbook, sizes
from tests.tidy.tree import Tree, git

Rule = Callable[[Tree], Iterator[str]]

LONG_BODY = "def act():\n" + "    pass\n" * (sizes.BODY_LINES_MAX + 1)

# For each rule: a repository that offends, and one that comes close and does not.
INDEX = "index-url"  # apart from its dashes, so that this file is not what it looks for

PLANTS: Mapping[Rule, tuple[Mapping[str, str], Mapping[str, str]]] = {
    sizes.modules_are_small: (
        {"worker/long.py": "\n" * 201},
        {"worker/long.py": "\n" * 200, "tests/long.py": "\n" * 900},
    ),
    sizes.suites_are_no_novels: (
        {"tests/unit/test_long.py": "\n" * 601},
        {"tests/unit/test_long.py": "\n" * 600, "docs/long.md": "\n" * 900},
    ),
    sizes.bodies_are_short: (
        {"worker/long.py": f"class Long:\n{LONG_BODY.replace('def', ' async def')}"},
        {"worker/long.py": LONG_BODY.replace("    pass\n", '    """Say."""\n', 1), "tests/long.py": LONG_BODY},
    ),
    names.files_have_telling_names: (
        {"worker/sql/utils.py": ""},
        {"worker/sql/database.py": "", "worker/utilities.py": ""},
    ),
    names.nothing_is_left_for_later: (
        {"Makefile": "# TO" + "DO: later\n"},
        {"Makefile": "mktemp -d ." + "X" * 6, "README.md": "todo\n"},
    ),
    names.only_terminal_programs_print: (
        {"worker/runtime.py": "def run():\n    print('up')\n"},
        {"worker/cli/send.py": "print('sent')\n", "worker/runtime.py": "say.print('up')\n"},
    ),
    names.one_underscore_is_enough: (
        {"worker/stream.py": "class Stream:\n    def __stop(self): ...\n"},
        {"worker/stream.py": "class Stream:\n    def __init__(self):\n        self._at = self.__class__\n"},
    ),
    addresses.no_registry_host_is_named: (
        {"Makefile": "curl https://py" + "pi.org/simple\n"},
        {"Makefile": "curl https://example.org/simple\n"},
    ),
    addresses.no_home_is_named: (
        {"devtools/broker.py": "HOME = '/ho" + "me/ada/erlang'\n"},
        {"devtools/broker.py": "HOME = f'{cache}/ho" + "me/node/'\n", "Makefile": "ls var/ro" + "ot/\n"},
    ),
    addresses.no_lock_file_records_addresses: (
        {"tools/package-lock.json": '{"packages": {"a": {"resolved": "file:a.tgz"}}}'},
        {"requirements/dev.txt": "", "docs/lock.md": "", "package-lock.json": '{"packages": {"a": {}}}'},
    ),
    addresses.requirements_have_no_addresses: (
        {"requirements/dev.txt": f"--{INDEX} https://example.org\n"},
        {"requirements/dev.txt": "uv==1.0 \\\n    --hash=sha256:00\n    # via stream-worker\n"},
    ),
    reach.every_file_is_reachable: (
        {"worker/lost.py": "import worker.found\n", "worker/found.py": "import worker.lost\n"},
        {
            "pyproject.toml": "[project.scripts]\nstream-worker = 'worker.cli:main'\n",
            "worker/cli/__init__.py": "LAZY = {'send': 'worker.cli.send:send'}\n",
            "worker/cli/send.py": "from ..sql import store\n",
            "worker/sql/__init__.py": "",
            "worker/sql/store.py": "",
            "migrations/versions/0001_first.py": "",
            "tests/test_store.py": "from tests.fakes import Store\n",
            "tests/fakes.py": "",
            "Makefile": "run:\n\t$(PYTHON) -m devtools.run\n",
            "devtools/run.py": "",
            "examples/pika/device.py": "",
        },
    ),
    documents.examples_compile: (
        {"README.md": "So:\n\n```python\nif True print('no')\n```\n"},
        {"README.md": "1. So:\n\n   ```python\n   await client.create('cam-1')\n   ```\n\n```sh\nif then\n```\n"},
    ),
    documents.links_lead_somewhere: (
        {"docs/map.md": "See [the contract](protocol.md).\n"},
        {
            "docs/map.md": "# A map\n[a](../README.md#two-words) [b](#a-map) [c](https://x.org) [d](.) `[e](f)`\n",
            "README.md": "## Two words\n```md\n[in an example](nowhere.md)\n```\n",
        },
    ),
    documents.settings_exist: (
        {"README.md": "Set `STREAMS_AQMP_URL`.\n"},
        {"README.md": "Set `STREAMS_AMQP_URL`, or another `STREAMS_…`.\n", "notes.txt": "STREAMS_NOTHING\n"},
    ),
    runbook.complaints_are_explained: (
        {
            "worker/runtime.py": "log.error('epoch.over')\nlog.warning('stop.at_once')\n",
            "docs/runbook.md": "| `epoch.over` | warning | …\n| `stop.at_once` | warning | …\n",
        },
        {
            "worker/runtime.py": "log.exception('epoch.over')\nlog.info('stop.draining')\nlog.warning(name)\n",
            "docs/runbook.md": "| `epoch.over` | error | …\n",
        },
    ),
    runbook.explanations_explain_something: (
        {"worker/runtime.py": "log.warning('epoch.ended')\n", "docs/runbook.md": "| `epoch.over` | warning | …\n"},
        {
            "worker/runtime.py": "log.warning('epoch.over', extra={})\n",
            "docs/runbook.md": "| `epoch.over` | warning | …\n| `consuming` not ok | warning | …\n",
        },
    ),
    documents.decisions_are_listed: (
        {"docs/adr/README.md": "", "docs/adr/0001-decide.md": ""},
        {"docs/adr/README.md": "[1](0001-decide.md)", "docs/adr/0001-decide.md": ""},
    ),
}

every_rule = pytest.mark.parametrize("rule", PLANTS, ids=lambda rule: rule.__name__)


@pytest.fixture(scope="session")
def repository() -> Tree:
    return Tree(Path(__file__).parents[2])


@pytest.fixture
def planted(tmp_path: Path) -> Callable[[Mapping[str, str]], Tree]:
    def plant(files: Mapping[str, str]) -> Tree:
        git(tmp_path, "init", "--quiet", "--template=")
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text, "utf-8")
        return Tree(tmp_path)

    return plant


@every_rule
def test_the_repository_keeps(rule: Rule, repository: Tree) -> None:
    offences = "\n".join(rule(repository))
    assert not offences, offences


@every_rule
def test_an_offence_is_found(rule: Rule, planted: Callable[[Mapping[str, str]], Tree]) -> None:
    assert list(rule(planted(PLANTS[rule][0])))


@every_rule
def test_what_comes_close_is_let_be(rule: Rule, planted: Callable[[Mapping[str, str]], Tree]) -> None:
    assert not list(rule(planted(PLANTS[rule][1])))


def test_every_rule_is_tried_on_an_offence() -> None:
    written = {
        thing
        for module in (sizes, names, addresses, reach, documents, runbook)
        for name, thing in vars(module).items()
        if isinstance(thing, FunctionType) and not name.startswith("_") and thing.__module__ == module.__name__
    }
    assert written == set(PLANTS)


def test_an_exception_may_only_shrink(planted: Callable[[Mapping[str, str]], Tree]) -> None:
    tree = planted({"worker/long.py": "\n" * 250})

    def offences(allowed: int) -> list[str]:
        return list(sizes.modules_are_small(tree, {"worker/long.py": allowed}))

    assert offences(249)
    assert not offences(250)
    assert offences(251)


def test_an_exception_for_a_file_that_is_gone_is_found(planted: Callable[[Mapping[str, str]], Tree]) -> None:
    assert list(sizes.modules_are_small(planted({}), {"worker/long.py": 250}))


def test_a_dependency_of_a_file_that_nothing_uses_is_not_in_use_either(
    planted: Callable[[Mapping[str, str]], Tree],
) -> None:
    tree = planted({"worker/lost.py": "import worker.deep\n", "worker/deep.py": ""})
    assert len(list(reach.every_file_is_reachable(tree))) == 2


def test_what_git_ignores_is_nobodys_business(planted: Callable[[Mapping[str, str]], Tree]) -> None:
    tree = planted({".gitignore": "var/\n", "var/utils.py": ""})
    assert list(tree.texts) == [".gitignore"]


def test_a_rule_sees_its_own_tree_when_git_speaks_of_another(
    planted: Callable[[Mapping[str, str]], Tree], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "nowhere")
    assert list(planted({"README.md": ""}).texts) == ["README.md"]
