"""Views: engines, and how to use them.

==================  ======================================================
file                what it is
==================  ======================================================
``base``            what all views have in common
``direct``          every engine does what is asked
``broadcast``       the same under another name
``balanced``        each task goes to one engine, whichever is free
``lazymap``         the values of a lazy map; ``feed``: its calls
``partition``       how sequences are divided and joined
``executor``        a view as a `concurrent.futures.Executor`
``imports``         ``import`` statements that take effect on engines too
``activation``      views as what the magics use
``joblib``          a view as a backend of joblib
==================  ======================================================
"""

from __future__ import annotations

from parallel_python.view.balanced import LoadBalancedView
from parallel_python.view.base import View
from parallel_python.view.broadcast import BroadcastView
from parallel_python.view.direct import DirectView
from parallel_python.view.executor import ViewExecutor
from parallel_python.view.lazymap import LazyMapIterator

__all__ = ["BroadcastView", "DirectView", "LazyMapIterator", "LoadBalancedView", "View", "ViewExecutor"]
