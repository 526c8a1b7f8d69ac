"""The process of a step. It imports next to nothing until it is told which step, and ends with the worker.

Run by `kept.pipelines.slot` as `python -P -m kept.pipelines.child DESCRIPTOR`.
"""

import importlib
import os
import signal
import socket
import sys
import threading
from queue import SimpleQueue

from kept.pipelines.channel import Channel


def main() -> None:
    """Does one job after another until the worker is gone."""
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    jobs: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(channel, jobs), daemon=True).start()
    while True:
        # Libraries are loaded here and not at the top: the first job decides whether they are needed.
        job = jobs.get()
        work = importlib.import_module("kept.pipelines.work")
        channel.send(work.perform(job, channel.send))


def _listen(channel: Channel, jobs: "SimpleQueue[bytes]") -> None:
    while (job := channel.receive()) is not None:
        jobs.put(job)
    # The worker is gone, however it went. The step and whatever it started go, too: this process leads their group.
    os.killpg(os.getpgid(0), signal.SIGKILL)


if __name__ == "__main__":
    main()
