"""From one leg to the other: requests, headers, media, transfers."""
