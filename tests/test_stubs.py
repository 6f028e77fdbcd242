"""The declared types are those of the binary."""

import subprocess
import sys


def test_stubs_match_the_binary() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "farthing._native", "--concise"],
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
