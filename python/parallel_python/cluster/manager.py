"""`ClusterManager`: clusters by name."""

from __future__ import annotations

from collections.abc import Iterable
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

    def load_clusters(
        self, *, profile: str | None = None, profiles: Iterable[str] | None = None, **options: Any
    ) -> dict[str, Cluster]:
        """Take note of the clusters that run, and return all that are known.

        Parameters
        ----------
        profile : str, optional
            Only those of this profile. In a notebook there are its kernel's engines, which have any.
        profiles : iterable of str, optional
            Only those of these profiles.
        **options
            ``profile_dir`` and its like, which have nothing to do here.
        """
        wanted = {*(profiles or ()), *([profile] if profile else ())}
        names = [None] if has_own_engines() else [entry.profile for entry in registry.entries()]
        for name in names:
            if wanted and name is not None and not wanted & {name, name.partition(":")[0]}:
                continue
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
