"""Run as a program: answers of one process and of two must be alike. Arguments: a saved pipeline, and how processes are started."""

from __future__ import annotations

import multiprocessing
import sys

import spacy

TEXTS = ["Anna lives in New York .", "", "They like green eggs . Why bark ?", "Bob saw a dog today that barked ."] * 6


def answers(nlp: spacy.language.Language, processes: int) -> list[bytes]:
    docs = nlp.pipe(TEXTS, n_process=processes, batch_size=5)
    return [doc.to_array(["ORTH", "TAG", "HEAD", "DEP", "SENT_START", "ENT_IOB", "ENT_TYPE"]).tobytes() + spans(doc) for doc in docs]


def spans(doc: spacy.tokens.Doc) -> bytes:
    return str(sorted((span.label_, span.start, span.end) for span in doc.spans.get("sc", []))).encode("utf8")


def main(path: str, method: str) -> None:
    multiprocessing.set_start_method(method)
    nlp = spacy.load(path)
    alone = answers(nlp, 1)  # also starts the threads of torch, which a fork does not inherit
    assert answers(nlp, 2) == alone
    print("alike")


if __name__ == "__main__":
    main(*sys.argv[1:])
