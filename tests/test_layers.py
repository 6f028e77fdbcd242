"""The rooms of the package import only what is below them."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "python" / "farthing"

BASE = {"errors", "types", "_native"}
LIBRARY = BASE | {"tokenization", "chat", "hub", "convert", "demo", "api"}
ABOVE = {
    "errors": set[str](),
    "types": set[str](),
    "demo": set[str](),
    "tokenization": BASE,
    "chat": BASE | {"tokenization"},
    "hub": BASE,
    "convert": BASE | {"hub"},
    "api": LIBRARY,
    "server": LIBRARY,
    "routing": LIBRARY,
    "integrations": LIBRARY,
    "cli": LIBRARY | {"server", "routing", "integrations"},
    "__init__": LIBRARY,
    "__main__": {"cli"},
}
"""Room -> the rooms that it may import, besides itself."""

USERS = {"server", "routing", "integrations", "cli"}
"""Rooms that may use the package as its users do: `import farthing`."""

COMMAND_LINE_ONLY = {"typer", "rich", "click"}


def imported(path: Path) -> set[str]:
    """The modules that a file imports anywhere; `from farthing import x` as `farthing.x`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            assert node.module is not None
            names = node.names if node.module == "farthing" else []
            found |= {f"farthing.{name.name}" for name in names} or {node.module}
    return found


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_imports_follow_the_arrows(path: Path) -> None:
    room = path.relative_to(PACKAGE).with_suffix("").parts[0]
    assert room in ABOVE, f"{room} has no row in this test"
    for module in imported(path):
        top, _, rest = module.partition(".")
        target = rest.partition(".")[0]
        if top in COMMAND_LINE_ONLY:
            assert room == "cli", f"{module} is for the command line"
        elif top == "farthing" and target in ABOVE.keys() | BASE:
            assert target in ABOVE[room] | {room}, f"{room} is not above {module}"
        elif top == "farthing":
            assert room in USERS, f"{room} imports the public names"
