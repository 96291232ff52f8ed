"""An ear counts packets, losses (RFC 3550 appendix A.3) and tones."""

from collections.abc import Iterable

from gateway.demo.audio.listen import Ear, Heard
from gateway.demo.audio.samples import FRAME, Tone


def heard_of(sequences: Iterable[int], tone: Tone | None = None) -> Heard:
    ear = Ear()
    for sequence in sequences:
        ear.receive(sequence, tone.next_frame() if tone else [0] * FRAME)
    return ear.heard()


def test_nothing_heard() -> None:
    assert Ear().heard() == Heard(packets=0, lost=0, unreadable=0, tones=())


def test_a_steady_tone() -> None:
    assert heard_of(range(50), Tone(440)) == Heard(packets=50, lost=0, unreadable=0, tones=(440,))


def test_a_tone_that_was_there_less_than_half_of_the_time_is_not_heard() -> None:
    ear, tone = Ear(), Tone(880)
    for sequence in range(50):
        ear.receive(sequence, tone.next_frame() if sequence < 20 else [0] * FRAME)
    assert ear.heard().tones == ()


def test_losses_are_gaps_in_the_sequence_even_over_its_end() -> None:
    assert heard_of([65533, 65535, 0, 3]).lost == 3


def test_late_packets_are_not_losses() -> None:
    assert heard_of([10, 12, 11, 13]).lost == 0


def test_unreadable_packets_are_counted_and_told() -> None:
    ear = Ear()
    ear.receive_unreadable()
    assert ear.heard().unreadable == 1
    assert ear.heard().sentence() == "no tone; 0 packets, 0 lost (0.0 %), 1 unreadable"


def test_sentence() -> None:
    assert Heard(198, 2, 0, (440, 880)).sentence() == "440 Hz + 880 Hz; 198 packets, 2 lost (1.0 %)"
