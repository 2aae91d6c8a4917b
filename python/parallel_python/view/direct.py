"""`DirectView`: every one of its engines does what is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from keyword import iskeyword
from typing import Any

from parallel_python.client.asyncresult import AsyncResult
from parallel_python.client.mapresult import AsyncMapResult
from parallel_python.client.submission import Call
from parallel_python.engine import operations
from parallel_python.serialize import choice
from parallel_python.view import gathering
from parallel_python.view.base import View
from parallel_python.view.gathered import gathered
from parallel_python.view.partition import Map, divisible, is_frame, items, length, mapper_for


class DirectView(View):
    """Engines that each do what is asked; results come in the order of `targets`."""

    # Running.

    def _call(
        self,
        function: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        block: bool | None = None,
        targets: Any = None,
        name: str | None = None,
    ) -> Any:
        targets = self.targets if targets is None else targets
        chosen = self._chosen(targets)
        parts = self._note(self.client._apply(chosen, function, args, kwargs or {}, self.label))
        fname = name or getattr(function, "__name__", None) or type(function).__name__
        result = self._result(parts, fname, targets)
        return self._finish(result, block)

    def _chosen(self, targets: Any) -> list[int]:
        """Return the engines that are meant, which are one at least."""
        chosen = self.client._targets(targets)
        if not chosen:
            raise ValueError(f"there is no engine at {targets!r}: engines are {self.client.ids}")
        return chosen

    def _result(self, parts: list[Any], fname: str, targets: Any) -> AsyncResult:
        return AsyncResult(self.client, parts, fname, targets, owner=True)

    def execute(
        self,
        code: str,
        silent: bool = True,
        targets: Any = None,
        block: bool | None = None,
        label: str | None = None,
    ) -> AsyncResult:
        """Run code, as a cell runs, on the engines.

        Parameters
        ----------
        code : str
            The code, with magics if it has any.
        silent : bool
            Whether the engines neither count it nor show the value of its last expression.
        targets : optional
            Which engines, if not the view's.
        block : bool, optional
            Whether to wait until it has run, and raise what it raised.
        label : str, optional
            What the tasks are called in their records.

        Returns
        -------
        AsyncResult
            Also where it blocks.
        """
        if not isinstance(code, str):
            raise TypeError(f"code must be text, not {type(code)!r}")
        targets = self.targets if targets is None else targets
        chosen = self._chosen(targets)
        parts = self._note(self.client._execute(chosen, code, silent, label or self.label))
        result = self._result(parts, "execute", targets)
        if self.block if block is None else block:
            self._wait(result).get()
        return result

    def run(
        self, filename: str, targets: Any = None, block: bool | None = None, label: str | None = None
    ) -> AsyncResult:
        """Run a file's code on the engines.

        Parameters
        ----------
        filename : str
            The file, which is read here.
        targets, block, label : optional
            As for `execute`.

        Returns
        -------
        AsyncResult
            Also where it blocks.
        """
        with open(filename, encoding="utf-8") as file:
            code = file.read() + "\n"
        return self.execute(code, targets=targets, block=block, label=label)

    # Names.

    def push(
        self, ns: dict[str, Any], targets: Any = None, block: bool | None = None, track: bool | None = None
    ) -> Any:
        """Bind values to names on the engines.

        Parameters
        ----------
        ns : dict
            The values by name; a name may also be ``a.b`` or ``a[0]``.
        targets : optional
            Which engines, if not the view's.
        block : bool, optional
            Whether to wait until it is done.
        track : bool, optional
            Accepted: values may be changed as soon as this has returned.
        """
        if not isinstance(ns, dict):
            raise TypeError(f"Must be a dict, not {type(ns)}")
        for name in ns:
            _check_name(name)
        return self._call(operations.push, (ns,), {}, block, targets, "_push")

    def pull(self, names: str | Iterable[str], targets: Any = None, block: bool | None = None) -> Any:
        """Return the values of expressions on the engines.

        Parameters
        ----------
        names : str or iterable of str
            An expression, or several: then each engine gives a list.
        targets : optional
            Which engines, if not the view's.
        block : bool, optional
            Whether to wait for the values.
        """
        if not isinstance(names, str):
            names = list(names) if isinstance(names, list | tuple | set | frozenset) else [names]  # type: ignore[list-item]
            for name in names:
                if not isinstance(name, str):
                    raise TypeError(f"names must be strs, not {name!r}")
        return self._call(operations.pull, (names,), {}, block, targets, "_pull")

    def get(self, key_s: str | Iterable[str]) -> Any:
        """Wait for the values of expressions on the engines and return them.

        Parameters
        ----------
        key_s : str or iterable of str
            As for `pull`.
        """
        return self.pull(key_s, block=True)

    def update(self, ns: dict[str, Any]) -> Any:
        """Bind values to names on the engines, as `push`, waiting where the view blocks.

        Parameters
        ----------
        ns : dict
            The values by name.
        """
        return self.push(ns)

    def __getitem__(self, key: str) -> Any:
        return self.get(key)

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def clear(self, targets: Any = None, block: bool | None = None) -> Any:
        """Empty the engines' namespaces, and their ``Out`` and ``In``.

        Parameters
        ----------
        targets : optional
            Which engines, if not the view's.
        block : bool, optional
            Whether to wait until it is done; None: as the view does.
        """
        block = self.block if block is None else block
        return self.client.clear(self.targets if targets is None else targets, block)

    # Sequences.

    def scatter(
        self,
        key: str,
        seq: Sequence[Any],
        dist: str = "b",
        flatten: bool = False,
        targets: Any = None,
        block: bool | None = None,
        track: bool | None = None,
    ) -> AsyncResult | None:
        """Divide a sequence, and bind each engine's part to a name there.

        Parameters
        ----------
        key : str
            The name.
        seq : sequence of length n, or array of shape (n, ...)
            It is divided along its first axis.
        dist : {'b', 'r'}
            Contiguous parts of which the first ``n % p`` are one longer, or dealt out one by one.
        flatten : bool
            Bind a part of length 1 as its single item.
        targets : optional
            Which engines, if not the view's.
        block : bool, optional
            Whether to wait until it is done, and raise what failed.
        track : bool, optional
            Accepted, as in `push`.

        Returns
        -------
        AsyncResult or None
            None where it blocks.
        """
        _check_name(key)
        chosen = self._chosen(self.targets if targets is None else targets)
        whole = divisible(seq)
        parts = mapper_for(dist).partition(whole, len(chosen))
        calls: list[Call] = [
            (operations.push, ({key: _flat(part) if flatten else part},), {}) for part in parts
        ]
        undivided: Call = (operations.push, ({key: whole},), {})
        sent = self._note(self.client._apply_each(chosen, calls, undivided, self.label))
        result = AsyncResult(self.client, sent, "scatter", chosen, owner=True)
        if self.block if block is None else block:
            self._wait(result).get()
            return None
        return result

    def gather(self, key: str, dist: str = "b", targets: Any = None, block: bool | None = None) -> Any:
        """Join the parts of a sequence that engines hold under a name.

        Parameters
        ----------
        key : str
            The name.
        dist : {'b', 'r'}
            How it was divided.
        targets : optional
            Which engines, if not the view's.
        block : bool, optional
            Whether to wait for it.

        Returns
        -------
        list, array, … or AsyncMapResult
            The sequence where it blocks: a list's ``get()`` returns the list itself.
        """
        mapper = mapper_for(dist)
        chosen = self._chosen(self.targets if targets is None else targets)
        blocks = self.block if block is None else block
        if blocks and type(mapper) is Map and len(set(chosen)) == len(chosen):
            return gathered(gathering.gather(self, key, chosen, mapper))
        parts = self._note(self.client._apply(chosen, operations.pull, (key,), {}, self.label))
        result = AsyncMapResult(self.client, parts, mapper, "gather")
        return gathered(self._wait(result).get()) if blocks else result

    def map(  # type: ignore[override]
        self,
        __f: Callable[..., Any],
        /,
        *sequences: Iterable[Any],
        block: bool | None = None,
        track: bool | None = None,
        return_exceptions: bool = False,
        label: str | None = None,
    ) -> Any:
        """Call a function with the items of sequences; each engine gets one contiguous part of them.

        Parameters
        ----------
        f : callable
            The function.
        *sequences : iterable
            Its arguments; the shortest one says how many calls there are.
        block : bool, optional
            Whether to wait for the list of values.
        track : bool, optional
            Accepted, as in `push`.
        return_exceptions : bool
            Whether a part that failed gives its exception in place of its values.
        label : str, optional
            What the tasks are called in their records.

        Returns
        -------
        list or AsyncMapResult
            The values, in order.
        """
        assert len(sequences) > 0, "must have some sequences to map onto!"
        return self._map(__f, sequences, "b", block, return_exceptions, label, operations.map_part)

    def _map(
        self,
        function: Any,
        sequences: Sequence[Iterable[Any]],
        dist: str,
        block: bool | None,
        return_exceptions: bool,
        label: str | None,
        operation: Callable[..., Any],
    ) -> Any:
        """Have each engine do something with its part of sequences."""
        # A call of a parallel function gets rows of a frame, a map what iterating gives.
        whole = [
            items(sequence) if operation is operations.map_part else divisible(sequence)
            for sequence in sequences
        ]
        n = min(map(length, whole))
        if n == 0:
            return []
        mapper = mapper_for(dist)
        targets = self._chosen(self.targets)[:n]
        divided = [mapper.partition(_first(sequence, n), len(targets)) for sequence in whole]
        chunks = list(zip(*divided, strict=True))
        label = label or self.label
        if operation is operations.map_part:
            parts = self.client._map_each(targets, function, chunks, whole, label)
        else:
            calls: list[Call] = [(operation, (function, *chunk), {}) for chunk in chunks]
            undivided: Call = (operation, (function, *whole), {})
            parts = self.client._apply_each(targets, calls, undivided, label)
        self._note(parts)
        result = AsyncMapResult(
            self.client,
            parts,
            mapper,
            getattr(function, "__name__", "map"),
            lengths=[length(part) for part in divided[0]],
            return_exceptions=return_exceptions,
        )
        return self._finish(result, block)

    # Imports, magics, serializers.

    def sync_imports(self, local: bool = True, quiet: bool = False) -> AbstractContextManager[None]:
        """Run the ``import`` statements in the body of a ``with`` statement on the engines too.

        Parameters
        ----------
        local : bool
            Whether they take effect here; they have to.
        quiet : bool
            Whether to print nothing.
        """
        from parallel_python.view.imports import SyncImports

        if not local:
            raise NotImplementedError(
                "imports cannot be kept from taking effect here: use `view.execute('import …')`"
            )
        return SyncImports(self, quiet=quiet)

    @property
    def importer(self) -> AbstractContextManager[None]:
        """`sync_imports` with its defaults."""
        return self.sync_imports(local=True)

    def activate(self, suffix: str = "") -> None:
        """Have the magics ``%px``, ``%autopx`` … with a suffix use this view."""
        from parallel_python.view.activation import activate

        activate(self, suffix)

    def use_dill(self) -> Any:
        """Pickle by ``dill``, here and on the engines."""
        return self._use("dill")

    def use_cloudpickle(self) -> Any:
        """Pickle by ``cloudpickle``, here and on the engines."""
        return self._use("cloudpickle")

    def use_pickle(self) -> Any:
        """Pickle as this package does by itself, here and on the engines."""
        return self._use("pickle")

    def _use(self, serializer: str) -> Any:
        choice.use(serializer)
        return self._call(operations.use_serializer, (serializer,), {}, self.block, None, f"use_{serializer}")

    def __iter__(self) -> Iterator[DirectView]:
        return (self.client[target] for target in self.client._targets(self.targets))


def _check_name(name: object) -> None:
    """Raise what is wrong with a name to which a value is to be bound."""
    if not isinstance(name, str):
        raise TypeError(f"names must be strs, not {name!r}")
    if iskeyword(name):
        raise ValueError(f"`{name}` is a keyword of Python's, so no code could read what is bound to it")


def _first(sequence: Any, n: int) -> Any:
    if length(sequence) == n:
        return sequence
    return sequence.iloc[:n] if is_frame(sequence) else sequence[:n]


def _flat(part: Any) -> Any:
    if length(part) != 1:
        return part
    return part.iloc[0] if is_frame(part) else part[0]
