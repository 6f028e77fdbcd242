"""The rooms of the package import only what is below them."""

import ast
from pathlib import Path

import farthing
import pytest

PACKAGE = Path(farthing.__file__).parent

BASE = {"errors", "types", "_native"}
LAYERS: dict[str, set[str]] = {
    "errors": set(),
    "types": set(),
    "tokenization": BASE,
    "chat": BASE,
    "hub": BASE,
    "api": BASE | {"tokenization", "chat", "hub"},
    "server": BASE | {"tokenization", "chat", "hub", "api"},
    "routing": BASE | {"tokenization", "chat", "hub", "api"},
    "integrations": BASE | {"tokenization", "chat", "hub", "api"},
    "convert": BASE | {"hub"},
    "cli": BASE
    | {"tokenization", "chat", "hub", "api", "server", "routing", "integrations", "convert"},
    "__main__": {"cli"},
    "__init__": BASE | {"tokenization", "chat", "api"},
}
"""Room -> the rooms that it may import, besides itself."""

ROOT_ALLOWED = {"cli", "server", "integrations", "routing"}
"""Rooms that may use the public names of `farthing` itself."""

COMMAND_LINE_ONLY = {"typer", "rich", "click"}


def room_of(module: str) -> str:
    """`api` for `farthing.api.model`."""
    return module.split(".")[1] if "." in module else "__init__"


def imports(path: Path) -> set[str]:
    """The modules that a file imports anywhere, with `from a import b` as `a.b` and as `a`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            if node.module == "farthing":
                found.remove("farthing")
                found |= {f"farthing.{name.name}" for name in node.names}
    return found


def sources() -> list[Path]:
    files = sorted(PACKAGE.rglob("*.py"))
    return [path for path in files if path.relative_to(PACKAGE).parts[0] != "demo"]


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_arrows(path: Path) -> None:
    room = path.relative_to(PACKAGE).with_suffix("").parts[0]
    assert room in LAYERS, f"{room} has no row in LAYERS"
    for module in imports(path):
        if module == "farthing":
            assert room in ROOT_ALLOWED, f"{room} imports the public names"
        elif module.startswith("farthing."):
            target = room_of(module)
            is_public_name = target not in LAYERS | dict.fromkeys(BASE)
            if is_public_name:
                assert room in ROOT_ALLOWED, f"{room} imports the public name {target}"
            else:
                assert target == room or target in LAYERS[room], f"{room} imports {module}"
        elif module.split(".")[0] in COMMAND_LINE_ONLY:
            assert room == "cli", f"{room} imports {module}"
