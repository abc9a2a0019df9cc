"""Whether the Hugging Face hub can be reached: its client would retry for a minute, with a line for each attempt."""

from __future__ import annotations

import os
import socket
import threading
import urllib.request
from urllib.parse import urlsplit

from channels.extras import extra

_SECONDS = 5.0  # for the name lookup and the connection together


def hub_is_reachable() -> bool:
    """Whether the hub, or the proxy to it, accepts a connection within five seconds."""
    with extra("hub"):
        from huggingface_hub import constants

    url = urlsplit(constants.ENDPOINT)
    proxy = urllib.request.getproxies().get(url.scheme)
    if proxy:
        url = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    answers: list[bool] = []

    def connect() -> None:
        try:
            socket.create_connection((host, port), _SECONDS).close()
            answers.append(True)
        except (OSError, UnicodeError):
            answers.append(False)

    attempt = threading.Thread(target=connect, daemon=True)  # a name lookup has no timeout
    attempt.start()
    attempt.join(_SECONDS)
    return answers == [True]


def offline() -> bool:
    """Whether the environment variable HF_HUB_OFFLINE forbids downloads from the Hugging Face hub."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
