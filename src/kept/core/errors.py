"""The one error tree. Doors map it to HTTP and exit codes; nothing else knows those."""


class KeptError(Exception):
    """Something went wrong that a person can act on.

    Args:
        what: what was wrong, as a sentence without its full stop.
        where: the thing it was found in (a file, a field, a step), or None.
        fix: what to do about it, or None when there is nothing to do.
    """

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        self.what = what
        self.where = where
        self.fix = fix
        super().__init__(what, where, fix)

    def __str__(self) -> str:
        sentence = f"{self.where}: {self.what}" if self.where else self.what
        return f"{sentence}. {self.fix}" if self.fix else sentence


class Invalid(KeptError):
    """What was declared or sent does not have the form it must have."""


class NotFound(KeptError):
    """The thing named does not exist."""


class Conflict(KeptError):
    """The thing exists already, or is not in a state that allows this."""


class Forbidden(KeptError):
    """The actor may not do this."""


class CheckFailed(KeptError):
    """An objective, a quality rule or another declared check does not hold."""


class Unavailable(KeptError):
    """A store or service cannot answer now (away, full, overloaded); trying later may help."""


class Away(Unavailable):
    """The database of records cannot be reached; what was begun goes on once it can."""


class Damaged(KeptError):
    """Stored bytes are not what their digest or format says."""
