"""The settings of greetings."""

from base.settings import Concurrency, Settings


class GreetingSettings(Settings):
    """Whom to greet, and how."""

    enable_greetings_service: bool = True
    greetings_concurrency: Concurrency = 3
    greetings_max_per_user: int = 2
    greeting_word: str = "Hello"
    greeting_names: str = "Ada Bo"
    greeting_server: str | None = None


SETTINGS = GreetingSettings
