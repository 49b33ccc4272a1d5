"""What can go wrong between a job and the application's database. The messages are for the caller: nothing internal."""


class DatabaseError(Exception):
    """Base of these errors."""


class DatabaseUnavailableError(DatabaseError):
    """The database is not configured, cannot be reached, or has no connection left. Later it may work."""


class StatementTimeoutError(DatabaseError):
    """A statement took longer than it may."""


class DatabaseSchemaError(DatabaseError):
    """A table or a column that the service needs is missing, or its login has no right to it."""


class FormUnknownError(DatabaseError):
    """No form has the identifier, or the caller may not see it: which of the two is not told."""


class ModelUnknownError(DatabaseError):
    """No model, column or relation that may be exported has the name; the message lists those that there are."""
