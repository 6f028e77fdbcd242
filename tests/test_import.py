"""What `import farthing` costs."""

import subprocess
import sys

SECONDS = 0.2
HEAVY = ["numpy", "tokenizers", "jinja2", "typer", "rich", "asyncio", "farthing._native"]


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_import_takes_less_than_a_fifth_of_a_second() -> None:
    # Of the CPU's time: other programs take the rest.
    code = (
        "import time; start = time.process_time(); import farthing; "
        "print(time.process_time() - start)"
    )
    assert min(float(run(code)) for _ in range(3)) < SECONDS


def test_import_loads_nothing_that_is_not_needed_yet() -> None:
    loaded = run(f"import sys, farthing; print([m for m in {HEAVY} if m in sys.modules])")
    assert loaded == "[]"


def test_every_public_name_exists() -> None:
    assert run("import farthing; [getattr(farthing, name) for name in farthing.__all__]") == ""


def test_unknown_names_are_attribute_errors() -> None:
    code = "import farthing\ntry: farthing.Modle\nexcept AttributeError as e: print(e)"
    assert run(code) == "module 'farthing' has no attribute 'Modle'"
