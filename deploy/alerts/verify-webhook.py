#!/usr/bin/env python3
"""Verifies an alert of the gateway, as the receiver of a webhook has to: body on stdin, status 0 if it is genuine.

    verify-webhook.py KEY-FILE "t=1764511200,v1=HEX" [NOW] < body

KEY-FILE holds the same key as secret_file of the [[alert]] table. NOW is for tests. A receiver also remembers the "id"
of each body for five minutes, and takes none twice: the gateway sends one again when it did not hear the answer.
"""

import hmac
import re
import sys
import time
from pathlib import Path

SECONDS = 300
"""The signature may be so old at most: an old message that somebody kept is refused."""


def is_genuine(key: bytes, signature: str, body: bytes, now: float) -> bool:
    """Whether the gateway signed this body, and lately."""
    found = re.fullmatch(r"t=(\d{1,12}),v1=([0-9a-f]{64})", signature)
    if found is None or abs(now - int(found[1])) > SECONDS:
        return False
    wanted = hmac.new(key, found[1].encode() + b"." + body, "sha256").hexdigest()
    return hmac.compare_digest(wanted, found[2])


if __name__ == "__main__":
    key = Path(sys.argv[1]).read_text().strip().encode()
    now = float(sys.argv[3]) if len(sys.argv) > 3 else time.time()
    genuine = is_genuine(key, sys.argv[2], sys.stdin.buffer.read(), now)
    print("genuine" if genuine else "not genuine")
    sys.exit(0 if genuine else 1)
