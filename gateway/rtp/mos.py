"""How good a stream sounds: a mean opinion score from loss and delay, by a simplified E-model (ITU-T G.107).

    R      = 93.2 - Id - Ie_eff                          93.2: G.107's default for everything that a relay cannot know
    Id     = 0.024 d + 0.11 (d - 177.3) if d > 177.3     d: one-way delay in ms; the line that Cole and Rosenbluth laid
                                                         through G.107's curve ("Voice over IP performance monitoring")
    Ie_eff = Ie + (95 - Ie) Ppl / (Ppl + Bpl)            G.107 section 7.5 for random loss; Ppl: loss in percent
    MOS    = 1 + 0.035 R + R (R - 60)(100 - R) 7e-6      G.107 annex B; 1 below R = 0, 4.5 above R = 100

Ie and Bpl of a codec are those of G.113 appendix I, with concealment of lost packets where phones have it. It is an
estimate of the network's share: echo, level and noise are taken to be good.
"""

from __future__ import annotations

from typing import Final

BEST_RATING: Final = 93.2
_IMPAIRMENTS: Final = {
    "PCMU": (0.0, 25.1),
    "PCMA": (0.0, 25.1),
    "G729": (11.0, 19.0),
    "G723": (15.0, 16.1),
    "GSM-EFR": (5.0, 10.0),
}
"""Ie and Bpl by encoding name."""
_DEFAULT_IMPAIRMENT: Final = (0.0, 25.1)
"""Of an encoding that G.113 has no figures for: as G.711."""
_BEND_MS: Final = 177.3


def rating(codec: str, loss: float, delay_ms: float) -> float:
    """R, 0 to 93.2. `codec` is the encoding name; `loss` a share, 0 to 1; `delay_ms` from mouth to ear, one way."""
    impairment, robustness = _IMPAIRMENTS.get(codec.upper(), _DEFAULT_IMPAIRMENT)
    percent = 100 * min(max(loss, 0.0), 1.0)
    delay = max(delay_ms, 0.0)
    delayed = 0.024 * delay + 0.11 * max(delay - _BEND_MS, 0.0)
    effective = impairment + (95 - impairment) * percent / (percent + robustness)
    return max(BEST_RATING - delayed - effective, 0.0)


def mean_opinion_score(codec: str, loss: float, delay_ms: float) -> float:
    """1 (bad) to 4.41 (as good as a telephone gets)."""
    return score_of(rating(codec, loss, delay_ms))


def score_of(value: float) -> float:
    """The mean opinion score of an R from 0 to 100 (G.107 annex B)."""
    return max(1.0, 1 + 0.035 * value + value * (value - 60) * (100 - value) * 7e-6)
