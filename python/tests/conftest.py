"""Without torch the tests of tamis.torch are not collected, and pytest says so."""

import importlib.util

# The folder torch beside this file would pass for a package without code.
SPEC = importlib.util.find_spec("torch")
HAS_TORCH = SPEC is not None and SPEC.origin is not None
collect_ignore = [] if HAS_TORCH else ["torch"]


def pytest_report_header(config):
    return [] if HAS_TORCH else ["tamis.torch: not tested, since torch is not installed"]
