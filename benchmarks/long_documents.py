"""One very long Doc through `nlp.pipe`: peak memory and processor time per word beside a short one.

    python benchmarks/long_documents.py
    python benchmarks/long_documents.py --encoder LSTMEncoder --words 1000,100000 --write docs/performance.md

An `emerging_tagger` with freshly drawn weights and 17 tags tags one Doc of so many words (Zipf-distributed made-up words, one unit),
each in a process of its own. Memory is the peak while it tags, above what the process held before, when the pipeline was loaded, a
short Doc had been tagged and the long one was made. Linux only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import numpy
import spacy
import torch
import typer
from measuring import CLEAR, status
from pages import circumstances, put
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

TAGS, VOCABULARY, SHORT = 17, 20_000, 1000
BEGIN, END = "<!-- long documents: begin -->", "<!-- long documents: end -->"


def pipeline(encoder: str, width: int, depth: int, max_batch_tokens: int) -> Language:
    """A tagger that knows its tags and nothing else."""
    nlp = spacy.blank("en")
    embed = {"@architectures": "spacy-emerging.WordEmbed.v1", "width": width}
    encode: dict[str, Any] = {"@architectures": f"spacy-emerging.{encoder}.v1", "width": width, "depth": depth}
    encode["max_batch_tokens"] = max_batch_tokens
    tok2vec = {"@architectures": "spacy.Tok2Vec.v2", "embed": embed, "encode": encode}
    decoder = {"@architectures": "spacy-emerging.SoftmaxDecoder.v1"}
    model = {"@architectures": "spacy-emerging.Labeler.v1", "tok2vec": tok2vec, "decoder": decoder}
    nlp.add_pipe("emerging_tagger", config={"model": model})
    reference = Doc(nlp.vocab, words=[f"w{i}" for i in range(TAGS)], tags=[f"T{i}" for i in range(TAGS)])
    nlp.initialize(lambda: [Example(Doc(nlp.vocab, words=[token.text for token in reference]), reference)])
    return nlp


def doc(nlp: Language, words: int) -> Doc:
    """Made-up words, few of them frequent."""
    draw = numpy.random.default_rng(0)
    return Doc(nlp.vocab, words=[f"w{rank % VOCABULARY}" for rank in draw.zipf(1.2, words).tolist()])


def measure(words: int, encoder: str, width: int, depth: int, max_batch_tokens: int) -> dict[str, float]:
    """Tags one Doc; bytes of peak memory and seconds of processor time."""
    torch.set_num_threads(1)
    nlp = pipeline(encoder, width, depth, max_batch_tokens)
    long = doc(nlp, words)
    list(nlp.pipe([doc(nlp, SHORT)]))
    before = status("VmRSS")
    CLEAR.write_text("5")  # the peak of the process starts anew from what it holds now
    started = time.process_time()
    (tagged,) = nlp.pipe([long])
    seconds = time.process_time() - started
    assert tagged[words - 1].tag_, "The last word has no tag."
    return {"words": words, "bytes": status("VmHWM") - before, "seconds": seconds}


def table(rows: list[dict[str, float]], encoder: str, width: int, depth: int, max_batch_tokens: int, command: str) -> str:
    """Markdown."""
    lines = [
        f"{circumstances()} `emerging_tagger` with `{encoder}`, width {width}, depth {depth}, `max_batch_tokens` {max_batch_tokens:,}:",
        "",
        f"    {command}",
        "",
        "| words in the Doc | peak memory, MB | bytes per word | bytes per further word | µs per word |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for before, row in zip([None, *rows], rows, strict=False):
        words, size, seconds = (row[key] for key in ("words", "bytes", "seconds"))
        further = "" if before is None else f"{(size - before['bytes']) / (words - before['words']):,.0f}"
        lines.append(f"| {words:,} | {size / 1e6:,.0f} | {size / words:,.0f} | {further} | {1e6 * seconds / words:.1f} |")
    return "\n".join(lines) + "\n"


def main(
    words: Annotated[str, typer.Option(help="Comma list of lengths.")] = "1000,100000,1000000",
    encoder: Annotated[str, typer.Option(help="A registered encoder, such as LSTMEncoder.")] = "Mamba2Encoder",
    width: Annotated[int, typer.Option(help="Width of token vectors.")] = 128,
    depth: Annotated[int, typer.Option(help="Layers.")] = 2,
    max_batch_tokens: Annotated[int, typer.Option(help="Tokens of a segment.")] = 8192,
    write: Annotated[Path | None, typer.Option(help="A page that gets the table between its markers.")] = None,
    one: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Prints the table."""
    if one:
        print(json.dumps(measure(int(words), encoder, width, depth, max_batch_tokens)))
        return
    if not CLEAR.exists():
        raise SystemExit("Peak memory is read from /proc/self, which this system does not have.")
    given = ["--encoder", encoder, "--width", str(width), "--depth", str(depth), "--max-batch-tokens", str(max_batch_tokens)]
    rows = []
    for length in words.split(","):
        command = [sys.executable, __file__, "--one", "--words", length, *given]
        rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]))
    options = sys.argv[1 : None if write is None else sys.argv.index("--write")]
    text = table(rows, encoder, width, depth, max_batch_tokens, " ".join(["python benchmarks/long_documents.py", *options]))
    if write is None:
        print(text)
        return
    put(write, text, BEGIN, END)


if __name__ == "__main__":
    typer.run(main)
