"""Checks what is in the distributions: `contents.py SDIST WHEEL`."""

import sys
import tarfile
import zipfile

EVERYWHERE = {
    "farthing/__init__.py",
    "farthing/_native.pyi",
    "farthing/demo/demo.gguf",
    "farthing/py.typed",
}
SDIST = {f"python/{name}" for name in EVERYWHERE} | {
    ".cargo/config.toml",
    "Cargo.lock",
    "LICENSE",
    "README.md",
    "python/farthing/demo/training/train.py",
    "rust-toolchain.toml",
}
WHEEL = EVERYWHERE | {"farthing/_native.abi3.so"}


def main(sdist: str, wheel: str) -> None:
    with tarfile.open(sdist) as archive:
        source = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as archive:
        installed = set(archive.namelist())
    problems = [f"{sdist} lacks {name}" for name in sorted(SDIST - source)]
    problems += [f"{wheel} lacks {name}" for name in sorted(WHEEL - installed)]
    problems += [f"{sdist} holds {name}" for name in sorted(source) if name.endswith(".so")]
    problems += [f"{wheel} holds {name}" for name in sorted(installed) if "/training/" in name]
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in installed):
        problems.append(f"{wheel} lacks the licence")
    print("\n".join(problems) or f"{len(source)} files in {sdist}, {len(installed)} in {wheel}")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main(*sys.argv[1:])
