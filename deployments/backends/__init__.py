"""The registry: which class serves a stage under a backend's name, imported when first asked for.

A backend is one file `<stage>_<name>.py` here whose class is marked `@register(stage, name)`.
It takes its settings as keyword arguments and imports its own library inside `load`.
Presets are names users of such systems expect; each stands for a backend and settings.
"""
