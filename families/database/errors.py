"""What can go wrong between a job and the application's database. The messages are for the caller: nothing internal."""


class DatabaseError(Exception):
    """Base of these errors."""


class DatabaseUnavailableError(DatabaseError):
    """The database cannot be reached, or has no connection left. Later it may work."""


class StatementTimeoutError(DatabaseError):
    """A statement took longer than it may."""


class DatabaseSetupError(DatabaseError):
    """DATABASE_URL is not set, or a table, a column or a right is missing: it stays so until somebody mends it."""


class FormUnknownError(DatabaseError):
    """No form has the identifier, or the caller may not see it: which of the two is not told."""


class ModelUnknownError(DatabaseError):
    """No model, column or relation that may be exported has the name; the message lists those that there are."""
