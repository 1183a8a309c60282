"""`spacy-emerging config`: a complete training config on standard output."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .errors import one_sentence


def config(
    encoder: Annotated[str, typer.Option(help="The sequence model, such as mamba2, xlstm, transformer, lstm.", show_default=False)],
    task: Annotated[
        str,
        typer.Option(
            help="tagger, morph, parser, constituency, graph, ner, spans, segmenter; several, with commas, share an encoder.",
            show_default=False,
        ),
    ],
    lang: Annotated[str, typer.Option(help="Language code; it chooses the tokenizer. xx is spaCy's multi-language one.")] = "en",
    decoder: Annotated[str, typer.Option(help="What decides on labels, above the encoder.")] = "softmax",
    embed: Annotated[
        str | None,
        typer.Option(help="What words look like: words (affixes and letters), multihash (affixes) or character.", show_default="words"),
    ] = None,
    width: Annotated[int | None, typer.Option(help="Width of the token vectors; even.", show_default="as the encoder's fragment")] = None,
    depth: Annotated[int | None, typer.Option(help="Layers of the encoder.", show_default="as the encoder's fragment")] = None,
    direction: Annotated[str | None, typer.Option(help="How the encoder reads: concat, add, alternate, forward.")] = None,
    linearization: Annotated[str | None, typer.Option(help="Structure as tags, such as RelativeDependency.")] = None,
    vectors: Annotated[str | None, typer.Option(help="Word vectors: an installed pipeline, or a folder.")] = None,
    init_tok2vec: Annotated[str | None, typer.Option(help="Weights from `spacy pretrain`; implies --pretraining.")] = None,
    pretraining: Annotated[bool, typer.Option("--pretraining", help="Add what `spacy pretrain` needs.")] = False,
    gpu: Annotated[bool, typer.Option("--gpu", help="Memory pool and batch size for a GPU.")] = False,
    output: Annotated[Path | None, typer.Option(help="A file to write instead.", show_default="standard output")] = None,
) -> None:
    """Print a complete config: spacy-emerging config --encoder mamba2 --task parser --lang lt > config.cfg"""
    # spaCy takes seconds to import, which --help need not wait for.
    from ..corpus.files import replacing
    from .compose import Choices, compose

    tasks = [name.strip() for name in task.split(",")]
    with one_sentence():
        composed = compose(
            Choices(
                encoder=encoder,
                tasks=tasks,
                lang=lang,
                decoder=decoder,
                embed=embed,
                width=width,
                depth=depth,
                direction=direction,
                linearization=linearization,
                vectors=vectors,
                init_tok2vec=init_tok2vec,
                pretraining=pretraining,
                gpu=gpu,
            )
        )
    if output is None:
        typer.echo(composed.to_str())
        return
    with replacing(output) as unfinished:
        unfinished.write_text(composed.to_str() + "\n", encoding="utf-8")
