"""``ipyparallel.Cluster`` on the engines that the notebook's kernel has anyway.

Nothing is launched here: `Cluster` asks the kernel to start, resize, restart and stop its engines.
"""

from __future__ import annotations

from parallel_python.cluster.cluster import Cluster
from parallel_python.cluster.manager import ClusterManager

__all__ = ["Cluster", "ClusterManager"]
