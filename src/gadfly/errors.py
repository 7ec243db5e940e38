"""Every exception Gadfly raises for a user, on one page. Knows nothing of the code that raises them.

Each message says what came, what was wanted, and what to do. The CLI prints it on one line and exits with status 2.
Programming mistakes are assertions, not these.
"""


class GadflyError(Exception):
    """Something a user can mend. The message is one clear line, fit to print."""


class ConfigError(GadflyError):
    """A configuration that cannot be used: an unknown key, a value out of range, settings that exclude each other."""


class ImageError(GadflyError):
    """An image source that cannot be used: no such folder, no readable image in it."""


class ModelError(GadflyError):
    """A model that cannot be loaded or cannot serve the role: missing checkpoint, text-only model, wrong padding."""


class EndpointError(GadflyError):
    """A served model that is gone or refuses us for good."""


class BudgetSpent(GadflyError):
    """A limit on calls, cost or time that the next call would pass. Ends a run cleanly: what was stored stays."""


class StoreError(GadflyError):
    """A run folder or store that cannot be used: not a store, a newer schema, a run that does not exist."""


class TestbedError(GadflyError):
    """A testbed request that cannot be met: an unknown split, level or checkpoint name."""

    __test__ = False  # the name begins with "Test"; pytest must not collect it
