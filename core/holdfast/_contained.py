"""What a plugin raises, as the engine sees it: one of holdfast's own errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.errors import HoldfastError, PluginError


@contextmanager
def contained(plugin: str, where: str) -> Iterator[None]:
    """Let holdfast's own errors pass; any other becomes one that names the plugin.

    Only its type is told: a foreign message may hold a row or a secret.
    """
    try:
        yield
    except HoldfastError:
        raise
    except Exception as error:
        failure = f"failed {where}: {type(error).__name__}; report it to the plugin's author"
        raise PluginError(plugin, failure) from error
