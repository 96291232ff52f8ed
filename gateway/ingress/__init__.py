"""Every message's first look: read, screened, sorted."""
