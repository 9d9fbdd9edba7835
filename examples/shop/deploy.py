# SPDX-License-Identifier: Apache-2.0
"""The deployment of the demo shop. It runs in the pid namespace of the nightly import (docker-compose.yml), sends it SIGTERM, and SIGKILL if
it does not exit in time. The log of the import shows nothing of that."""

import os
import pathlib
import signal
import time

PACE_SECONDS = float(os.environ.get("SHOP_PACE_SECONDS", "20"))
GRACE_SECONDS = PACE_SECONDS / 10


def imports():
    """Returns the pids of the running imports."""
    for directory in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            arguments = (directory / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it has just exited
            continue
        if arguments[2:3] == [b"import"]:
            yield int(directory.name)


def main():
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    while True:
        time.sleep(PACE_SECONDS)
        for pid in imports():
            print(f"deploy: the import (pid {pid}) blocks the deployment", flush=True)
            os.kill(pid, signal.SIGTERM)
            time.sleep(GRACE_SECONDS)
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
