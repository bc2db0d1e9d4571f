"""What ends a training on purpose."""


class TrainingRefused(Exception):
    """No honest model came of it; the message says what was expected and what came."""
