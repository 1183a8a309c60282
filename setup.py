"""Builds the loops in C++ that make the encoders fast on a CPU. They are optional: where none can be built, plain torch does the same.

Everything else about the package is in pyproject.toml.
"""

import platform
import runpy
import sys
from pathlib import Path

from setuptools import Extension, setup

SOURCES = Path("spacy_emerging/kernels/native")
OPTIONS = [
    "-O3",
    "-g0",
    "-std=c++17",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
    "-fvisibility=hidden",
    "-fno-exceptions",
    "-fno-rtti",
]
FINGERPRINT = runpy.run_path(str(SOURCES / "fingerprint.py"))["fingerprint"](SOURCES)
QUIET = ["-Wno-psabi", "-Wno-ignored-attributes", "-Wno-attributes"]
X86 = {"_avx2": ["-mavx2", "-mfma"], "_avx512": ["-mavx512f", "-mavx512dq", "-mavx512vl", "-mavx512bw", "-mavx2", "-mfma"]}
"""One build per instruction set, of which the package loads the best that the processor has."""


def builds() -> dict[str, list[str]]:
    """The builds for this machine, and the options of each."""
    if sys.platform == "win32":  # vectors are written as GCC and Clang understand them
        return {}
    return X86 if platform.machine().lower() in ("x86_64", "amd64") else {"_base": []}


def extension(name: str, options: list[str]) -> Extension:
    threads = ["-fopenmp"] if sys.platform == "linux" else []
    return Extension(
        f"spacy_emerging.kernels.native.{name}",
        sources=sorted(str(path) for path in SOURCES.glob("*.cpp")),
        depends=sorted(str(path) for path in SOURCES.glob("*.h")),
        define_macros=[("FINGERPRINT", f'"{FINGERPRINT}"')],
        extra_compile_args=[*OPTIONS, *QUIET, *options, *threads],
        extra_link_args=threads,
        language="c++",
        optional=True,
    )


setup(ext_modules=[extension(name, options) for name, options in builds().items()])
