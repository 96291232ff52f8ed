"""The sound of the demonstration: samples, RTP, session descriptions, and a judgement of all that is heard."""
