"""Block lists: addresses that others found guilty, from files and URLs, read every hour and dropped before parsing."""
