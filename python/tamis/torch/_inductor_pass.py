"""The fusion pass as a class of Inductor's. Apart, since importing Inductor takes seconds."""

from torch._inductor.custom_graph_pass import CustomGraphPass

from ._fuse import CompilePass


class InductorPass(CompilePass, CustomGraphPass):
    """Fuses behind sparse products in the graphs that torch.compile hands on."""
