"""Which labels a component starts with: those that it is given, or those of a corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from spacy.training import Example

from ..errors import LabelError
from .labels import checked_labels
from .task import Task


def given_labels(name: str, task: Task, labels: dict[str, list[str]] | list[str]) -> dict[str, list[str]]:
    """Labels by field, from such a table, or from a list of user-level labels for a task of one field.

    name: the component's, for messages. Raises LabelError where a field is missing, or a list will not do.
    """
    if isinstance(labels, dict):
        task.prepare(labels)
        missing = [field for field in task.fields if field not in labels]
        if missing:
            raise LabelError(f"{name}: initialize(labels=...) lacks the field '{missing[0]}'; it needs {', '.join(task.fields)}.")
        return {field: checked_labels(name, field, labels[field]) for field in task.fields}
    if len(task.fields) != 1:
        raise LabelError(f"{name}: initialize(labels=...) needs a table with the fields {', '.join(task.fields)}, not a list.")
    vocabulary: dict[str, list[str]] = {}
    for label in checked_labels(name, task.fields[0], labels):
        vocabulary = task.with_label(vocabulary, label)
    return vocabulary


def collected_labels(task: Task, get_examples: Callable[[], Iterable[Example]], known: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Labels by field: those known already, and those of the references. The task reads all examples before any label is made of them."""
    for example in get_examples():
        task.read(example)
    seen: dict[str, set[str]] = {field: set(known.get(field, ())) for field in task.fields}
    for example in get_examples():
        on_reference = Example(example.reference, example.reference)
        for unit in task.gold(on_reference).labels:
            for labels in unit:
                for field, label in zip(task.fields, labels, strict=True):
                    if label is not None:
                        seen[field].add(label)
    return task.vocabulary(seen)
