"""The registry: which class serves a stage under a backend's name, imported when first asked for.

A backend is one file `<stage>_<name>.py` here (a `-` of the name is written `_`) whose class is
marked `@register(stage, name)`. Its settings are keyword arguments, it names the libraries it
needs in `requires`, and it imports them inside `load`, so importing the file is always cheap.
Presets are names users of such systems expect; each stands for a backend and settings.
This module resolves names. It reads no environment and loads no model.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Literal, TypeAlias, TypeVar, cast, overload

from deployments.backend_protocols import (
    IncrementalSpeechToText,
    LanguageModel,
    SpeechToText,
    TextToSpeech,
)

Stage: TypeAlias = Literal["stt", "llm", "tts"]
Settings: TypeAlias = Mapping[str, object]
_Class = TypeVar("_Class", bound=type[object])


class BackendConfigError(ValueError):
    """A backend cannot be built as configured; the message is one line that says what to change."""


_classes: dict[tuple[Stage, str], type[object]] = {}
_presets: dict[tuple[Stage, str], tuple[str, Settings]] = {}


def register(
    stage: Stage, name: str, presets: Mapping[str, Settings] | None = None
) -> Callable[[_Class], _Class]:
    """Mark a class as the backend `name` of a stage; each preset maps a name to settings for it."""

    def mark(backend: _Class) -> _Class:
        _classes[stage, name] = backend
        for preset, settings in (presets or {}).items():
            _presets[stage, preset] = (name, settings)
        return backend

    return mark


def names(stage: Stage) -> tuple[str, ...]:
    """The backends of a stage, sorted, without importing any."""
    prefix = f"{stage}_"
    files = (module.name for module in pkgutil.iter_modules(__path__))
    found = (file.removeprefix(prefix) for file in files if file.startswith(prefix))
    return tuple(sorted(name.replace("_", "-") for name in found))


def presets(stage: Stage) -> tuple[str, ...]:
    """The presets of a stage, sorted."""
    for name in names(stage):
        _find(stage, name)
    return tuple(sorted(preset for of, preset in _presets if of == stage))


def requires(stage: Stage, name: str) -> tuple[str, ...]:
    """The libraries that a backend imports. Raises BackendConfigError where there is none."""
    return cast(tuple[str, ...], getattr(_find(stage, name), "requires", ()))


def takes(stage: Stage, name: str, setting: str) -> bool:
    """Whether a backend has a setting. Raises BackendConfigError where there is no backend."""
    return setting in _parameters(_find(stage, name))


def check_settings(stage: Stage, name: str, settings: Settings) -> None:
    """Raise BackendConfigError unless the backend exists and takes these settings."""
    _check_settings(stage, name, _find(stage, name), settings)


def check(stage: Stage, name: str, settings: Settings) -> None:
    """Raise BackendConfigError unless the backend exists, takes these settings and can be imported.

    Nothing is loaded: libraries are looked for, not imported.
    """
    check_settings(stage, name, settings)
    missing = [library for library in requires(stage, name) if find_spec(library) is None]
    if missing:
        named = cast(Mapping[str, str], getattr(_find(stage, name), "packages", {}))
        packages = " ".join(named.get(library, library.replace("_", "-")) for library in missing)
        raise BackendConfigError(
            f"{stage} backend {name!r} needs {', '.join(missing)}, not installed here: "
            f"pip install {packages}"
        )


@overload
def create(
    stage: Literal["stt"], name: str, settings: Settings
) -> SpeechToText | IncrementalSpeechToText: ...
@overload
def create(stage: Literal["llm"], name: str, settings: Settings) -> LanguageModel: ...
@overload
def create(stage: Literal["tts"], name: str, settings: Settings) -> TextToSpeech: ...
def create(stage: Stage, name: str, settings: Settings) -> object:
    """The backend, built but not loaded. Raises BackendConfigError, as `check` does."""
    check(stage, name, settings)
    return _find(stage, name)(**settings)


def choose(
    stage: Stage, backend: str, settings: Settings, override: str | None
) -> tuple[str, dict[str, object]]:
    """What a model-choice override makes of the configured backend: its name and settings.

    The override is a preset, a backend's name, or else a hub id or local path, given as `model`
    to the configured backend. Raises BackendConfigError where that backend takes no `model`.
    """
    if not override:
        return backend, dict(settings)
    known = presets(stage)
    if override in known:
        name, preset = _presets[stage, override]
        return name, {**settings, **preset} if name == backend else dict(preset)
    if override in names(stage):
        return override, dict(settings) if override == backend else {}
    if "model" not in _parameters(_find(stage, backend)):
        raise BackendConfigError(
            f"{stage} model {override!r} is neither a preset ({_list(known)}) nor a backend "
            f"({_list(names(stage))}), and backend {backend!r} takes no model"
        )
    return backend, {**settings, "model": override}


def _find(stage: Stage, name: str) -> type[object]:
    if name not in names(stage):
        raise BackendConfigError(
            f"unknown {stage} backend {name!r}: choose one of {_list(names(stage))}"
        )
    importlib.import_module(f"{__name__}.{stage}_{name.replace('-', '_')}")
    return _classes[stage, name]


def _parameters(backend: type[object]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(backend).parameters


def _check_settings(stage: Stage, name: str, backend: type[object], settings: Settings) -> None:
    known = _parameters(backend)
    unknown = [key for key in settings if key not in known]
    if unknown:
        raise BackendConfigError(
            f"unknown setting {_list(unknown)} of {stage} backend {name!r}: "
            f"it takes {_list(tuple(known)) or 'none'}"
        )
    missing = [
        key
        for key, parameter in known.items()
        if parameter.default is inspect.Parameter.empty and key not in settings
    ]
    if missing:
        raise BackendConfigError(f"{stage} backend {name!r} needs the setting {_list(missing)}")


def _list(items: tuple[str, ...] | list[str]) -> str:
    return ", ".join(items)
