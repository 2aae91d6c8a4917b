"""The one list of what we use of ipykernel, and its check before the shell starts.

ipykernel promises little of this to others, so the range of versions is narrow, and a name that is
missing all the same is an answer for the user rather than a traceback.
"""

from __future__ import annotations

import sys
from importlib import import_module, metadata

# Modules, and what is used of each: classes and functions, and attributes of classes as ipykernel names them.
# A class's instance attributes cannot be seen here; they are named in the code that uses them:
# `Kernel._main_asyncio_lock`, `Kernel._shell_parent_ident`, `InteractiveShell._last_traceback`.
LEANED_ON: dict[str, tuple[str, ...]] = {
    "ipykernel.kernelbase": (
        "Kernel.dispatch_control",
        "Kernel.get_parent",
        "Kernel.kernel_info",
        "Kernel.record_ports",
        "Kernel.set_parent",
        "Kernel.shell_main",
        "Kernel.pre_handler_hook",
        "Kernel.post_handler_hook",
        "Kernel._abort_queues",
        "Kernel._execute_sleep",
        "Kernel._input_request",
        "Kernel._progressively_terminate_all_children",
        "Kernel._publish_status",
        "Kernel._supports_kernel_subshells",
        "Kernel._topic",
    ),
    "ipykernel.ipkernel": ("IPythonKernel.do_execute", "IPythonKernel.debugpy_stream"),
    "ipykernel.kernelapp": (
        "IPKernelApp.configure_tornado_logger",
        "IPKernelApp.init_connection_file",
        "IPKernelApp.init_gui_pylab",
        "IPKernelApp.init_heartbeat",
        "IPKernelApp.init_io",
        "IPKernelApp.init_kernel",
        "IPKernelApp.init_poller",
        "IPKernelApp.init_sockets",
        "IPKernelApp.log_connection_info",
        "IPKernelApp.patch_io",
        "IPKernelApp.write_connection_file",
        "IPKernelApp._ports",
    ),
    "ipykernel.iostream": ("OutStream",),
    "ipykernel.jsonutil": ("json_clean",),
    "ipykernel.thread": ("BaseThread.io_loop", "BaseThread.stop", "CONTROL_THREAD_NAME"),
    "ipykernel.zmqshell": ("ZMQInteractiveShell",),
    "jupyter_client.jsonutil": ("json_default",),
    "jupyter_client.session": ("Message", "Session", "extract_header", "json_packer", "json_unpacker"),
    "IPython.core.history": (
        "HistoryManager._writeout_input_cache",
        "HistoryManager._writeout_output_cache",
        "HistoryManager.writeout_cache",
    ),
    "IPython.core.interactiveshell": ("InteractiveShell.run_code",),
    "IPython.core.magic": ("MAGIC_NO_VAR_EXPAND_ATTR",),
}

OLDEST, TOO_NEW = 7, 8


class Unfit(Exception):
    """The Python at hand cannot run notebook cells; the text says why and what to do."""


def check() -> None:
    """Check that ipykernel is there, of a version we know, and has all that we use.

    Raises
    ------
    Unfit
        With a sentence for the user.
    """
    try:
        version = metadata.version("ipykernel")
    except metadata.PackageNotFoundError:
        raise Unfit(f"the Python `{sys.executable}` has no ipykernel; {_advice()}") from None
    major = version.partition(".")[0]
    if not major.isdecimal() or not OLDEST <= int(major) < TOO_NEW:
        raise Unfit(
            f"the Python `{sys.executable}` has ipykernel {version}, and this kernel needs a version"
            f" from {OLDEST} up to but not including {TOO_NEW}; {_advice()}"
        )
    for module, names in LEANED_ON.items():
        try:
            loaded = import_module(module)
        except ImportError as error:
            raise Unfit(
                f"the ipykernel {version} of `{sys.executable}` does not load ({error}); {_advice()}"
            ) from error
        for name in names:
            if not _has(loaded, name):
                raise Unfit(
                    f"the ipykernel {version} of `{sys.executable}` has no `{module}.{name}`, which this"
                    f" kernel needs; {_advice()}"
                )


def _has(module: object, name: str) -> bool:
    holder, _, attribute = name.partition(".")
    found = getattr(module, holder, None)
    if found is None or not attribute:
        return found is not None
    # An attribute that only instances have is set in the class's `__init__`.
    names_set = getattr(getattr(found, "__init__", None), "__code__", None)
    return hasattr(found, attribute) or (names_set is not None and attribute in names_set.co_names)


def _advice() -> str:
    return f"install it with `{sys.executable} -m pip install 'ipykernel>={OLDEST},<{TOO_NEW}'`"
