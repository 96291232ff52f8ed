"""Every provider, phone, policy, direction and attack: what is claimed is what is on the wire, and is documented."""

from __future__ import annotations

from pathlib import Path

from gateway.config.model import Security
from tests.support.matrix_table import DOCUMENT, Cell, document

ENCRYPTED = ("ENCRYPTED", "ENCRYPTED_TO_PROVIDER")


def judge(where: str, cell: Cell) -> None:
    """What must hold in every cell, whatever the document says."""
    assert not cell.is_readable, f"{where}: SIP can be read in a TLS connection"
    # Who offers SRTP over UDP gets its answer there (it mirrors the offer), and the verdict says what that is worth.
    mirrors = "over UDP, SRTP" in where or ("that changes" in where and cell.security is Security.OFF)
    if not mirrors or cell.security is Security.REQUIRED:
        assert b"inline:" not in cell.in_clear, f"{where}: a key was sent in clear"
    if cell.status == 200:
        assert cell.verdict == cell.seen, f"{where}: claimed {cell.verdict}, seen {cell.seen}"
        assert bool(cell.reason) == (cell.verdict not in ENCRYPTED), where
    else:
        assert cell.seen == "", where
        is_its_own_answer = "488 to RTP" in where and cell.security is Security.OFF
        is_fault = cell.reason.startswith(("PROVIDER_", "MEDIA_"))
        assert cell.verdict == ("UNANSWERED" if is_fault else "REFUSED"), where
        assert cell.reason.startswith("REFUSED_") is not is_fault, where
        assert (cell.reason == "PROVIDER_REFUSED_MEDIA") is is_its_own_answer, where
    if cell.security is Security.REQUIRED and not cell.is_emergency:
        assert b"INVITE " not in cell.in_clear, f"{where}: a call left in clear"
        assert cell.status != 200 or cell.verdict in ENCRYPTED, where
    if cell.is_emergency:
        assert cell.status == 200, f"{where}: an emergency call did not complete"
    # Under "required" a port that nobody answers is a call that was refused: whoever is down looks the same.
    is_silence = cell.security is Security.REQUIRED and ("blocks" in where or "swallows" in where)
    if is_silence:
        assert cell.downgrades == 0, f"{where}: a downgrade was told of"
    elif "interferes" in where and cell.security is not Security.OFF and "certificate" not in where:
        assert cell.downgrades >= 1, f"{where}: nobody was told"


def test_every_cell_is_true_and_as_documented(tmp_path: Path) -> None:
    made = document(tmp_path, judge)
    assert made == DOCUMENT.read_text(encoding="utf-8"), "run: python -m tests.support.matrix_table, and look at it"
