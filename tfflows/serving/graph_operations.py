"""What a SavedModel would run, seen before TensorFlow loads it: a SavedModel is a program.

A flow computes arrays from arrays. Taken are operations that have no state, but for those that
reach outside all the same (`ReadFile` counts as stateless), and of those with a state variables,
loops, calls and random numbers. A SavedModel's own saver reads and writes its variables: its
functions are known by the place from which they are called.
"""

import re
from collections.abc import Iterable
from pathlib import Path

# Parts of the names of stateless operations that read files, talk to others or call other code.
OUTSIDE = re.compile(
    "^_|Barrier|BatchFunction|Copy|CustomCall|Dataset|Debug|DTensor|File|HostConst|Launch|Proto|"
    "PyFunc|Queue|Reader|Remap|SparseDenseMatmul|Summary|Table|TPU|Tpu|Variant"
)
# Operations with a state that stays in the process: variables, loops, calls, random numbers.
STATEFUL = re.compile(
    "(Assign|AssignAdd|AssignSub|Read)VariableOp|Assert|Case|DeviceIndex|DisableCopyOnRead|If|ResourceGather|"
    "ResourceGatherNd|(Random(StandardNormal|Uniform|UniformInt|GammaGrad|Gamma|PoissonV2|Shuffle)"
    "|TruncatedNormal|ParameterizedTruncatedNormal)|Stateful(PartitionedCall|StandardNormalV2|"
    "UniformFullInt|UniformInt|Uniform)|StatelessRandomGet(Alg|KeyCounter|KeyCounterAlg)|"
    "TensorArray\\w*|VarHandleOp|VarIsInitializedOp|VariableShape|While|XlaIf|XlaWhile"
)
SAVER = frozenset({"MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename"})
CURE = (
    "A SavedModel is a program. If you trust its source like that of a program, "
    "tfflows.load_model(path, unsafe=True) runs it"
)


def check_operations(folder: Path) -> None:
    """Refuse a SavedModel with operations that touch files, networks, processes or Python.

    Args:
        folder: of the SavedModel, a version folder.

    Raises:
        ValueError: such an operation, an unknown one, or a form that no flow is exported in; the
            operation and its function are named. Nothing of the model was run.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel()
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise ValueError(f"{path} is not a SavedModel: {error}") from error
    if len(model.meta_graphs) != 1 or not model.meta_graphs[0].HasField("object_graph_def"):
        # TensorFlow would load it as a model of version 1, whose graph may run on loading.
        raise ValueError(f"{path} is not a SavedModel of one graph as flows are exported. {CURE}")
    graph = model.meta_graphs[0]
    functions = {f.signature.name: f.node_def for f in graph.graph_def.library.function}
    exported = _reached(graph.object_graph_def.concrete_functions, functions)
    for gradient in graph.graph_def.library.gradient:
        exported |= _reached([gradient.gradient_func], functions)
    for name, nodes in functions.items():
        own = frozenset() if name in exported else SAVER
        _check(nodes, own, functions, f"{path}: function {name}")
    _check(graph.graph_def.node, frozenset(), functions, f"{path}: graph")


def _reached(names: Iterable[str], functions) -> set[str]:
    """The functions of these names, and all that they call."""
    reached, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        if name in functions and name not in reached:
            reached.add(name)
            for node in functions[name]:
                waiting.append(node.op)
                for value in node.attr.values():
                    called = (value.func, *value.list.func)
                    waiting += [each.name for each in called if each.name]
    return reached


def _check(nodes, own, functions, place):
    for node in nodes:
        if not (node.op in own or _is_pure(node.op, functions)):
            raise ValueError(
                f"{place}: Expected operations of arrays, variables, loops and calls. "
                f"Received: {node.op}. {CURE}"
            )


def _is_pure(operation, functions):
    from tensorflow.python.framework import op_def_registry

    definition = op_def_registry.get(operation)
    if definition is None:  # a function by its name, or of a library that is not loaded here
        return operation in functions
    if definition.is_stateful:
        return STATEFUL.fullmatch(operation) is not None
    return OUTSIDE.search(operation) is None and operation not in SAVER
