"""`semcom app`: the interactive demo in the browser."""

from __future__ import annotations

import argparse
import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

from channels.arguments import within
from channels.errors import UsageError
from channels.extras import require
from semcom import devices
from semcom.cli.common import Commands, add_device_option


def add_commands(commands: Commands) -> None:
    """Add `app`."""
    app = commands.add("app", _app)
    app.add_argument(
        "--address",
        default="localhost",
        metavar="HOST",
        help="network address to listen on (default: localhost, reachable from this computer only)",
    )
    app.add_argument("--port", type=int, default=8501, metavar="PORT", help="port to listen on (default: 8501)")
    add_device_option(app)
    app.add_argument("--no-browser", action="store_true", help="do not open a browser window (default: open one)")


def _app(options: argparse.Namespace) -> int:
    """Start the interactive demo in the browser."""
    require("app")
    _check_address(options.address, options.port)
    environment = {**os.environ, "SEMCOM_DEVICE": devices.resolve(options.device)}
    settings = {
        "server.address": options.address,
        "server.port": options.port,
        "server.headless": str(options.no_browser).lower(),
        "server.showEmailPrompt": "false",  # asked at the first start of Streamlit in a new home
        "server.maxUploadSize": 10,
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
    }
    flags = [f"--{name}={value}" for name, value in settings.items()]
    command = [sys.executable, "-m", "streamlit", "run", str(_demo_file()), *flags]
    return subprocess.run(command, env=environment).returncode


def _check_address(address: str, port: int) -> None:
    """Refuse an address of another computer, and a port that is invalid or in use."""
    within("--port", port, 1, 65535)
    try:
        family, _, _, _, where = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        socket.create_server(where[:2], family=family).close()
    except PermissionError:
        raise UsageError(f"--port {port} is reserved for the system; choose 1024 or above") from None
    except (OSError, UnicodeError) as error:
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise UsageError(f"--port {port} is in use; choose another --port") from None
        raise UsageError(
            f"--address {address} is not an address of this computer; choose localhost, or 0.0.0.0 for all networks"
        ) from None


def _demo_file() -> Path:
    """The main file of the demo, in a checkout or in the data files of an installed wheel."""
    checkout = Path(__file__).parents[2] / "apps" / "demo.py"
    if checkout.is_file():
        return checkout
    from importlib import metadata

    installed = metadata.files("semcom") or []
    found = next((Path(str(file.locate())).resolve() for file in installed if file.match("semcom/apps/demo.py")), None)
    if found is None or not found.is_file():
        raise UsageError("this installation has no apps/demo.py; install semcom again, or run make app in a checkout")
    return found
