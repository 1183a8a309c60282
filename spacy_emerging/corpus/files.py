"""Text files in with line numbers, whole files out: what every format shares."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from errno import EISDIR
from pathlib import Path

from ..errors import CorpusError


def broken(path: Path, line: int, what: str) -> CorpusError:
    """The error for one line of a file, in the form editors can jump to: `file:line: what`."""
    return CorpusError(f"{path}:{line}: {what}")


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 file with their numbers from 1, without line ends or byte order mark.

    Only a line feed (or carriage return and line feed) ends a line: other Unicode line breaks may stand inside words.
    Raises CorpusError where the file cannot be read or a line is not UTF-8.
    """
    try:
        with path.open("rb") as stream:
            for line, raw in enumerate(stream, start=1):
                try:
                    text = raw.decode("utf-8-sig" if line == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise broken(path, line, f"byte {error.start + 1} of the line is not UTF-8; save the file in UTF-8.") from error
                yield line, text.removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise CorpusError(f"{path}: the file cannot be read ({error.strerror}).") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary name beside `path` to write to, and moves the file into place if all went well; else removes it.

    Missing folders are made. Raises CorpusError where the folder cannot be written to.
    """
    name = _unfinished(path)
    try:
        yield Path(name)
        # Temporary files are private; the finished one gets the rights that any new file of this user has.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """The same for a folder, which must be missing or empty, as `check_folder` sees to; what is unfinished is removed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        yield unfinished
        mask = os.umask(0)
        os.umask(mask)
        unfinished.chmod(0o777 & ~mask)
        if path.is_dir():
            path.rmdir()  # not every system moves a folder over an empty one
        os.replace(unfinished, path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def check_folder(path: Path, source: Path) -> None:
    """Raises CorpusError where a folder made of `source` would lie in it, or over anything else that is there."""
    if source.resolve() in [path.resolve(), *path.resolve().parents]:
        raise CorpusError(f"{path}: the output would change what is read, {source}; choose another place for it.")
    if path.is_dir() and any(path.iterdir()):
        raise CorpusError(f"{path}: the folder is not empty; choose a new one for the output, or remove it first.")
    if path.exists() and not path.is_dir():
        raise CorpusError(f"{path}: a file is in the place of the output folder; choose another place for it.")


def check_writable(path: Path, other: Collection[Path] = ()) -> None:
    """Raises CorpusError where `replacing` could not write the file, or would write over one of the others (files that are read, or
    written too): to be asked before the work that fills it."""
    if path.resolve() in [given.resolve() for given in other]:
        raise CorpusError(f"{path}: the output is also read or written for something else; choose another place for it.")
    if path.is_dir():
        raise _unwritable(path, IsADirectoryError(EISDIR, os.strerror(EISDIR)))
    os.unlink(_unfinished(path))


def _unfinished(path: Path) -> str:
    """A new empty file beside `path`, in a folder that is made if it is missing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    os.close(handle)
    return name


def _unwritable(path: Path, error: OSError) -> CorpusError:
    return CorpusError(f"{path}: the file cannot be written ({error.strerror}); choose another place for the output.")
