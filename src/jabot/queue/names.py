"""What tasks, keys, labels and the like may be called: what every store and worker can have."""

from __future__ import annotations

from jabot.errors import BadArguments
from jabot.protocol import limits
from jabot.protocol.options import NO_OPTIONS, JobOptions
from jabot.queue.store.records import kind_of


def is_task_name(name: str) -> bool:
    """Whether a worker may have a task of that name: a kind (`kind_of`) reads as another with a
    space in it."""
    return name.isprintable() and " " not in name


def check_names(task: str, options: JobOptions, *ids: str) -> None:
    """Raises `BadArguments` for names that no worker and no store could take as they are."""
    if len(task) > limits.TASK:
        raise BadArguments(f"the name of its task has more than {limits.TASK} characters")
    if not is_task_name(task):
        raise BadArguments(f"{task!r} is no name of a task: it has spaces, or worse")
    names = [*ids]
    if options is not NO_OPTIONS:
        names += [name for name in (options.key, options.unique) if name is not None]
        names += [options.lane.name] if options.lane is not None else []
        names += [*options.after, *options.labels, *options.labels.values(), *options.where]
        names += [value for values in options.where.values() for value in values]
    for name in names:
        if "\0" in name:
            raise BadArguments(f"{name!r}: U+0000 can stand in no id, key, name or label")
    if options.where and (size := len(kind_of(task, options.where).encode())) > limits.KIND:
        raise BadArguments(
            f"where: with the name of the task it takes {size:,} bytes, and {limits.KIND:,} are "
            "kept; ask for fewer labels, or for one that stands for them"
        )
