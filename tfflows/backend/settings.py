"""Settings of layers that compiled functions have taken in, and that a user may change later."""

import functools
import inspect

_version = 0


def settings_version() -> int:
    """A number that grows with each change of a setting: functions compiled before are out of date.

    One number for all models: changes are rare, and compiling once too often does no harm.
    """
    return _version


class Settings:
    """An object whose constructor's arguments are settings: `layer.test_solver = ...` holds.

    What was compiled before the change is compiled anew when it is called next.
    """

    def __setattr__(self, name, value):
        global _version
        is_setting = name[0] != "_" and name in _arguments(type(self))
        if is_setting and vars(self).get(name, value) is not value:
            _version += 1
        super().__setattr__(name, value)


@functools.cache
def _arguments(cls):
    return frozenset(inspect.signature(cls.__init__).parameters)
