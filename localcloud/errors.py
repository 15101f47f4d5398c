"""What can go wrong in the local cloud, as one sentence for a person and a code for a program."""

from __future__ import annotations


class LocalCloudError(Exception):
    """An error that is told as it is, without a traceback.

    :param code: a stable word, sent as ``error.code`` by the API.
    :param status: the HTTP status the API answers with.
    """

    def __init__(self, message: str, *, code: str = "failed", status: int = 500) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class InvalidRequest(LocalCloudError):  # noqa: N818  # named as HTTP's 400 is spoken of
    """What was asked for makes no sense; nothing was changed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="invalid", status=400)


class Conflict(LocalCloudError):  # noqa: N818  # HTTP's 409
    """What was asked for does not fit what is there; nothing was changed."""

    def __init__(self, message: str, *, code: str = "conflict") -> None:
        super().__init__(message, code=code, status=409)


class NotFound(LocalCloudError):  # noqa: N818 - as HTTP names it
    """What was asked about is not there."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="not_found", status=404)
