"""Metrics of a pair of nodes: a part of the one table (`metrics`), and all that a node has which waits.

No label holds an address or a node's name: Prometheus knows which node it asks.
"""

from gateway.observe.figures import AskedRow


class ClusterMetrics:
    """Rows of `Metrics` about the cluster. Without [cluster] they have no series."""

    cluster_active = AskedRow(
        "gateway_cluster_active",
        "1 on the node that is active, 0 on one that waits; no series without [cluster].",
    )
    cluster_store_up = AskedRow(
        "gateway_cluster_store_up",
        "1 while the cluster's store answers, 0 while it does not.",
    )
    cluster_alone = AskedRow(
        "gateway_cluster_without_store",
        "1 while this node is active without the lease, since the store answers nobody (without_store).",
    )
    cluster_nodes = AskedRow(
        "gateway_cluster_nodes",
        "Nodes that gave a sign of life to the store within ten seconds, this one among them.",
    )
    cluster_waiting_changes = AskedRow(
        "gateway_cluster_waiting_changes",
        "Changes of the active node's state that the store does not have yet.",
    )
    cluster_lag = AskedRow(
        "gateway_cluster_lag_seconds",
        "Age of the oldest of these changes; 0 while the store has all.",
    )
    cluster_copies = AskedRow(
        "gateway_cluster_whole_copies",
        "Whole copies of its state that the active node has completed since its start.",
        is_counter=True,
    )
    cluster_failures = AskedRow(
        "gateway_cluster_copy_failures",
        "Writes of copies that the store did not take since the active node's start.",
        is_counter=True,
    )
