"""The numbered files that bring a store's schema from each number to the next."""

from __future__ import annotations

from importlib import resources

from jabot.errors import StoreError


def migrations(package: str) -> dict[int, str]:
    """The numbered files (`0001_what.sql`) in a package's folder `migrations`, in their order."""
    files = resources.files(package).joinpath("migrations").iterdir()
    return {
        int(file.name[:4]): file.read_text(encoding="utf-8")
        for file in sorted(files, key=lambda file: file.name)
        if file.name.endswith(".sql")
    }


def lacking(package: str, there: int, name: str) -> dict[int, str]:
    """The migrations that a schema of that number lacks, of the store of that name. Raises
    `StoreError` when a newer jabot has made it."""
    steps = migrations(package)
    newest = max(steps)
    if there > newest:
        raise StoreError(
            f"{name} has schema {there}, made by a newer jabot; this one knows {newest}:"
            " update jabot"
        )
    return {number: script for number, script in steps.items() if number > there}
