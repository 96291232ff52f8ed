"""Defence: attacks are observed, judged and turned away for a while; providers never are, nor phones that are known."""
