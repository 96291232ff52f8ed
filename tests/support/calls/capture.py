"""A packet capture of the addresses of one run, from before the first packet to after the last."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support.calls.pcap import Packet, read_pcap
from tests.support.calls.processes import Program, find_program

SNAPSHOT = "32000"
"""Bytes kept of a packet: more than any has here. In immediate mode each takes a slot of this size."""
BUFFER = "131072"
"""KiB: four thousand slots, for the seconds in which tcpdump gets no processor."""


class Capture:
    """tcpdump on the loopback interface, as long as it is not stopped."""

    def __init__(self, addresses: Sequence[str], directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / "capture.pcap"
        wanted = " or ".join(f"host {address}" for address in addresses)
        argv = [find_program("tcpdump", "tcpdump"), "-i", "lo", "-n", "-s", SNAPSHOT, "-B", BUFFER, "-U", "-w"]
        argv += [str(self.path), "--immediate-mode", *(["-Z", "root"] if os.geteuid() == 0 else []), wanted]
        self.program = Program(argv, directory / "tcpdump.log")
        self.program.wait_for_line("listening on lo")

    def packets(self) -> list[Packet]:
        """Everything captured so far."""
        return read_pcap(self.path)

    def stop(self) -> list[Packet]:
        """End the capture; everything captured. Fails when the kernel dropped packets, for then it proves nothing."""
        if self.program.is_running:
            time.sleep(0.1)  # what was sent a moment ago is still on its way to the file
            self.program.stop(first=signal.SIGINT)
            self.program.wait_for_line(r"^0 packets dropped by kernel", 0)
        return self.packets()
