"""Checks the package as it was installed: it is quick to import and generates text."""

import subprocess
import sys
from pathlib import Path

IMPORT = (
    "import time; start = time.process_time(); import farthing; print(time.process_time() - start)"
)
SECONDS = 0.2
"""Of the CPU's time: other programs take the rest."""


def output(*command: str | Path) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def main() -> None:
    seconds = min(float(output(sys.executable, "-c", IMPORT)) for _ in range(3))
    print(f"import farthing: {seconds:.3f} s")
    farthing = Path(sys.executable).with_name("farthing")
    text = output(farthing, "run", "demo", "Tell me a story about a fox.", "--temp", "0")
    print(text)
    if seconds >= SECONDS:
        sys.exit(f"import farthing takes {seconds:.3f} s, but must take less than {SECONDS} s")
    if len(text.split()) < 20:
        sys.exit("this is no story")


if __name__ == "__main__":
    main()
