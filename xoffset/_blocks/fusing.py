"""Graphs of results in few tasks: what belongs to one block becomes one task, of which each variable takes a part."""

from __future__ import annotations

import logging
import operator
import pickle
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import dask.array as da
from xoffset._blocks import elements

logger = logging.getLogger("xoffset")

Key = Any
# What dask calls its own; tried from 2025.1 to 2026.8.
OF_TASKS = "dask._task_spec"
# Label of a task that serves several blocks.
_SHARED = object()
# What costs so little that each task which needs it does it for itself.
_CHEAP = (elements._of_block, operator.getitem)


def in_few_tasks(arrays: Mapping[str, da.Array], inputs: Sequence[da.Array]) -> dict[str, da.Array]:
    """Dask arrays of the same names, chunks and values, whose graphs have one task a block for all that it alone needs.

    Each array keeps its own tasks, which take their part. What was there before, the inputs and what they come from,
    stays as it is: so work that several results share is done once if they are computed together.
    """
    if find_spec(OF_TASKS) is None:
        logger.warning("this dask has no %s: results are the same, in graphs of many more tasks", OF_TASKS)
        return dict(arrays)
    known = {name for each in inputs for name in each.dask.layers}
    made = {name: each for name, each in arrays.items() if each.name not in known}
    if not made:
        return dict(arrays)
    nodes = _nodes(list(made.values()), inputs, known)
    if not nodes:
        return dict(arrays)
    layers = _layers(nodes, list(made.values()))
    return dict(arrays) | _with_layers(made, layers, inputs)


def _nodes(arrays: Sequence[da.Array], inputs: Sequence[da.Array], known: set[str]) -> dict[Key, Any]:
    """Tasks that the arrays need beside those of the inputs, each after those that it needs."""
    from dask._task_spec import convert_legacy_graph
    from dask.blockwise import optimize_blockwise
    from dask.core import flatten
    from dask.highlevelgraph import HighLevelGraph

    wanted = [key for array in arrays for key in flatten(array.__dask_keys__())]
    whole = HighLevelGraph.merge(*(array.dask for array in arrays))
    # chains of simple steps are made shorter as long as they are layers, which is quick
    kept = [(array.name, *(0,) * array.ndim) for array in (*inputs, *arrays)]
    graph: dict[Key, Any] = {}
    names = {key for each in inputs for key in flatten(each.__dask_keys__())}
    for name, layer in optimize_blockwise(whole, keys=kept).layers.items():
        # what an input came from may be needed once more, such as the same chunks of another input
        names |= set(layer.get_output_keys())
        if name not in known:
            graph.update(layer)
    names |= set(graph)
    tasks = convert_legacy_graph(graph, names)
    ordered: dict[Key, Any] = {}
    waiting = wanted
    while waiting:
        key = waiting[-1]
        missing = [] if key in ordered or key not in tasks else [
            each for each in tasks[key].dependencies if each not in ordered and each in tasks
        ]  # fmt: skip
        if missing:
            waiting += missing
            continue
        waiting.pop()
        if key in tasks and key not in ordered:
            ordered[key] = tasks[key]
    return ordered


def _layers(nodes: dict[Key, Any], arrays: Sequence[da.Array]) -> dict[str, dict[Key, Any]]:
    """Tasks by layer: one of each array, and one of what they share."""
    from dask._task_spec import Task, TaskRef
    from dask.base import tokenize
    from dask.core import flatten

    owner = {key: array.name for array in arrays for key in flatten(array.__dask_keys__())}
    shared = f"fused-{tokenize(sorted(set(owner.values())))}"
    layers: dict[str, dict[Key, Any]] = {name: {} for name in dict.fromkeys((shared, *owner.values()))}
    labels = _labels(nodes, arrays, owner)
    cheap: set[Key] = set()
    for key, node in nodes.items():
        # nothing that costs more may be needed for it, or that would be done again, too
        needs_cheap = all(each in cheap for each in node.dependencies if each in nodes)
        if labels[key] is _SHARED and key not in owner and needs_cheap and _is_cheap(node):
            cheap.add(key)
    alike: dict[bytes, _Group] = {}
    for number, keys in enumerate(_parts(nodes, labels, cheap)):
        results = [key for key in keys if key in owner or labels[key] is _SHARED]
        needed = _with_cheap(keys, nodes, cheap)
        if len(needed) == 1:
            layers[owner.get(keys[0], shared)][keys[0]] = nodes[keys[0]]
            continue
        group, given = _group({key: nodes[key] for key in needed}, results, alike)
        references = [TaskRef(key) for key in given]
        if len(results) == 1:
            layers[owner.get(results[0], shared)][results[0]] = Task(results[0], group, *references)
            continue
        name = (shared, number)
        layers[shared][name] = Task(name, group, *references)
        for k, key in enumerate(results):
            layers[owner.get(key, shared)][key] = Task(key, operator.itemgetter(k), TaskRef(name))
    return layers


def _labels(nodes: dict[Key, Any], arrays: Sequence[da.Array], owner: Mapping[Key, str]) -> dict[Key, Any]:
    """Row and column of the block that each task belongs to alone; `_SHARED` if it serves several."""
    maps = Counter(array.chunks[-2:] for array in arrays if array.ndim >= 2)
    usual = maps.most_common(1)[0][0] if maps else None
    on_grid = {array.name for array in arrays if array.ndim >= 2 and array.chunks[-2:] == usual}
    labels: dict[Key, Any] = {}
    for key in reversed(nodes):
        if key in owner:
            own = key[-2:] if owner[key] in on_grid else key
            labels[key] = own if labels.get(key, own) == own else _SHARED
        for each in nodes[key].dependencies:
            if each in nodes:
                labels[each] = labels[key] if labels.get(each, labels[key]) == labels[key] else _SHARED
    return labels


def _parts(nodes: dict[Key, Any], labels: Mapping[Key, Any], cheap: set[Key]) -> Iterable[list[Key]]:
    """Tasks of one block that depend on each other, in order; and each that serves several blocks by itself."""
    root = {key: key for key in nodes if key not in cheap}

    def find(key: Key) -> Key:
        while root[key] != key:
            root[key] = root[root[key]]
            key = root[key]
        return key

    for key in root:
        for each in nodes[key].dependencies:
            if each in root and labels[key] is not _SHARED and labels[each] == labels[key]:
                root[find(each)] = find(key)
    parts: dict[Key, list[Key]] = {}
    for key in root:
        parts.setdefault(find(key), []).append(key)
    return parts.values()


def _is_cheap(node: Any) -> bool:
    function = getattr(node, "func", None)
    return getattr(function, "func", function) in _CHEAP


def _with_cheap(keys: Sequence[Key], nodes: dict[Key, Any], cheap: set[Key]) -> list[Key]:
    """Tasks with the cheap ones that they need, in order."""
    found: dict[Key, None] = {}

    def add(key: Key) -> None:
        for each in sorted(nodes[key].dependencies & cheap, key=str):
            add(each)
        found[key] = None

    for key in keys:
        add(key)
    return list(found)


class _Group:
    """Tasks that are done together: takes what they need from elsewhere and returns the results, or the only one."""

    def __init__(self, nodes: Sequence[Any], inputs: int, results: Sequence[int]) -> None:
        self.nodes, self.inputs, self.results = list(nodes), inputs, list(results)
        last = {("in", k): -1 for k in range(inputs)}
        for k, node in enumerate(self.nodes):
            last |= dict.fromkeys(node.dependencies, k)
        kept = {("out", k) for k in self.results}
        # what nobody needs any more is let go, as a scheduler would
        self.last = [[key for key, at in last.items() if at == k and key not in kept] for k in range(len(self.nodes))]

    def __call__(self, *values: Any) -> Any:
        """Results from the values of what is needed."""
        known: dict[Any, Any] = {("in", k): value for k, value in enumerate(values)}
        for k, node in enumerate(self.nodes):
            known["out", k] = node(known)
            for key in self.last[k]:
                del known[key]
        found = tuple(known["out", k] for k in self.results)
        return found if len(found) > 1 else found[0]


def _group(nodes: Mapping[Key, Any], results: Sequence[Key], alike: dict[bytes, _Group]) -> tuple[_Group, list[Key]]:
    """Tasks under names that are the same for all blocks, and what they need; those that are alike are one object."""
    given = list(dict.fromkeys(
        each for node in nodes.values() for each in sorted(node.dependencies, key=str) if each not in nodes
    ))  # fmt: skip
    place = {key: k for k, key in enumerate(nodes)}
    names = {key: ("in", k) for k, key in enumerate(given)} | {key: ("out", k) for key, k in place.items()}
    renamed = [node.substitute(names, key=names[key]) for key, node in nodes.items()]
    group = _Group(renamed, len(given), [place[key] for key in results])
    try:
        told = pickle.dumps((group.nodes, group.inputs, group.results))
    except (pickle.PicklingError, AttributeError, TypeError):
        # a function that has no name in a module
        return group, given
    return alike.setdefault(told, group), given


def _with_layers(
    arrays: Mapping[str, da.Array], layers: dict[str, dict[Key, Any]], inputs: Sequence[da.Array]
) -> dict[str, da.Array]:
    """Arrays with these layers on top of those of the inputs."""
    import dask.array as da
    from dask.highlevelgraph import HighLevelGraph

    layer_of = {key: name for name, graph in layers.items() for key in graph}
    needs: dict[str, Any] = {}
    for name, graph in layers.items():
        used = {each for node in graph.values() for each in node.dependencies}
        needs[name] = {layer_of.get(key, key[0] if isinstance(key, tuple) else key) for key in used} - {name}
    before: dict[str, Any] = {}
    earlier: dict[str, Any] = {}
    for each in (*inputs, *arrays.values()):
        before |= {name: layer for name, layer in each.dask.layers.items() if name not in layers}
        earlier |= {name: each.dask.dependencies[name] for name in each.dask.layers if name not in layers}
    found = {}
    for label, array in arrays.items():
        reached: dict[str, None] = {}
        waiting = [array.name]
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached[name] = None
                waiting += needs[name] if name in needs else earlier[name]
        whole = HighLevelGraph(
            {name: layers[name] if name in layers else before[name] for name in reached},
            {name: needs[name] if name in needs else earlier[name] for name in reached},
        )
        found[label] = da.Array(whole, array.name, array.chunks, dtype=array.dtype, meta=array._meta)
    return found
