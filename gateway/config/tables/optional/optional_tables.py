"""The tables that a configuration may be without: each is None then, and all that it is for is absent.

    [hep]           copies of messages for a receiver       absent: no message leaves but to its peer
    [acme]          certificates from an authority          absent: an operator gives the files
    [provisioning]  files for phones                        absent: no port is open for them
    [cluster]       other nodes, of which one is active     absent: this process is active at once

Here: them together, as a part of the whole Configuration. Not here: their keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from gateway.config.tables.acme_table import Acme as Acme
from gateway.config.tables.hep_table import Hep as Hep
from gateway.config.tables.optional.cluster_table import Cluster as Cluster
from gateway.config.tables.optional.cluster_table import WithoutStore as WithoutStore
from gateway.config.tables.provisioning_table import Provisioning as Provisioning


@attrs.frozen(kw_only=True)
class OptionalTables:
    """Each under the name that it has in the file."""

    hep: Hep | None = None
    """Copies of messages for a receiver."""
    acme: Acme | None = None
    """Certificates by an authority's protocol."""
    provisioning: Provisioning | None = None
    """Files of phones."""
    cluster: Cluster | None = None
    """Other nodes."""


OPTIONAL: Final[Mapping[str, type[Any]]] = {
    "hep": Hep,
    "acme": Acme,
    "provisioning": Provisioning,
    "cluster": Cluster,
}
"""The class of each, by its name."""
