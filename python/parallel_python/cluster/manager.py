"""`ClusterManager`: clusters by name."""

from __future__ import annotations

from typing import Any

from parallel_python.client import registry
from parallel_python.client.connecting import has_own_engines
from parallel_python.cluster.cluster import Cluster


class ClusterManager:
    """Clusters, by ``profile:cluster_id``."""

    def __init__(self) -> None:
        self._clusters: dict[str, Cluster] = {}

    @property
    def clusters(self) -> dict[str, Cluster]:
        """All clusters."""
        return self._clusters

    @staticmethod
    def _key(cluster: Cluster) -> str:
        return f"{cluster.profile}:{cluster.cluster_id}"

    def load_clusters(self, **options: Any) -> dict[str, Cluster]:
        """Return all clusters: the notebook's engines, or elsewhere all sets of engines of this user."""
        names = [None] if has_own_engines() else [entry.profile for entry in registry.entries()]
        for name in names:
            if name is None and self._clusters:
                continue
            cluster = Cluster.from_file(profile=name)
            self._clusters.setdefault(self._key(cluster), cluster)
        return self._clusters

    def new_cluster(self, **options: Any) -> tuple[str, Cluster]:
        """Make a cluster, and return its key and itself.

        Raises
        ------
        KeyError
            When there is one of that name.
        """
        cluster = Cluster(**options)
        key = self._key(cluster)
        if key in self._clusters:
            raise KeyError(f"Cluster {key} already exists")
        self._clusters[key] = cluster
        return key, cluster

    def get_cluster(self, cluster_id: str) -> Cluster:
        """Return a cluster by its key.

        Raises
        ------
        KeyError
            When there is none.
        """
        try:
            return self._clusters[cluster_id]
        except KeyError:
            raise KeyError(f"Cluster {cluster_id} not found") from None

    def remove_cluster(self, cluster_id: str) -> None:
        """Forget a cluster; its engines go on."""
        self.get_cluster(cluster_id)
        del self._clusters[cluster_id]
