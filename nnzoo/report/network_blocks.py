"""The blocks of a network: its layers in the order of their calls, grouped until a drawing can show all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from torch import nn

from nnzoo.models.recurrent import RecurrentNet
from nnzoo.models.trees import RecursiveNet, TreeLSTM
from nnzoo.report.layer_names import counted, described, sizes, words
from nnzoo.summaries.collect import Recording
from nnzoo.summaries.compute import layer_rows

MAX_BLOCKS = 16
"""The largest number of blocks that are drawn, where the structure of the network allows it."""

ADDS = {
    "BasicBlock",
    "Bottleneck",
    "ResBottleneckBlock",
    "CNBlock",
    "EncoderBlock",
    "SwinTransformerBlock",
    "SwinTransformerBlockV2",
}
"""The classes of torchvision whose blocks always add their input to their output."""

UNITS = ADDS | {
    "InvertedResidual",
    "MBConv",
    "FusedMBConv",
    "_DenseLayer",
    "Inception",
    "InceptionA",
    "InceptionB",
    "InceptionC",
    "InceptionD",
    "InceptionE",
    "Fire",
    "_Transition",
}
"""The classes of torchvision that are drawn as one block. Neighbours of one class with equal outputs are merged."""

OWN = "parameters of its own"
MAX_PARTS = 5
"""The largest number of layers that are listed inside a block."""

POOLED = {
    "last": "state of the last step",
    "mean": "mean of the states over the steps",
    "max": "largest state over the steps",
    "none": "state of every step",
}


@dataclass(frozen=True)
class Block:
    """One block of the drawing.

    Attributes:
        kind: conv, linear, recurrent, embedding, pool, group or other; it decides the color.
        title: What the block is, such as "Conv 3 × 3, 16 filters".
        name: The dotted path of its module.
        details: What follows in the block: batch norm, activation, dropout.
        shape: The shape of its output for one sample; empty if it has none.
        num_parameters: The number of parameters in the block, those of all repetitions together.
        repeat: How many equal blocks it stands for.
        num_shortcuts: How many of the repetitions add their input to their output.
        loop: The text at the arrow from the block to itself; empty if it has none.
        parts: The layers inside a residual block.
        last: The dotted path of the last module of the block, whose output is that of the block.
    """

    kind: str
    title: str
    name: str
    details: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    num_parameters: int = 0
    repeat: int = 1
    num_shortcuts: int = 0
    loop: str = ""
    parts: tuple[Block, ...] = ()
    last: str = ""


@dataclass
class _Node:
    """A module with its called layers in order. A node without children is a layer."""

    name: str
    module: nn.Module
    shape: tuple[int, ...]
    leaves: list[Block] = field(default_factory=list)
    children: list[_Node] = field(default_factory=list)

    @property
    def is_unit(self) -> bool:
        return type(self.module).__name__ in UNITS

    @property
    def opens(self) -> bool:
        """Whether the layers inside may be drawn one by one."""
        kinds = {type(child.module).__name__ for child in self.children}
        return bool(kinds) and not self.is_unit and not (len(kinds) == 1 and kinds <= UNITS)


def blocks_of(recording: Recording) -> tuple[Block, ...]:
    """Returns the blocks of a network in the order of their calls. Their parameters add up to those of the network.

    All layers are drawn if they are at most `MAX_BLOCKS` blocks. Otherwise the largest parts of the network are opened
    as long as there are no more than that; equal neighbours become one block with a count then.
    """
    nodes = [_tree(recording)]
    while True:
        for place in sorted(range(len(nodes)), key=lambda place: -len(nodes[place].leaves)):
            opened = [*nodes[:place], *nodes[place].children, *nodes[place + 1 :]]
            if nodes[place].opens and (len(nodes) == 1 or len(_drawn(opened)) <= MAX_BLOCKS):
                nodes = opened
                break
        else:
            return _with_states(recording, _drawn(nodes))


def _drawn(nodes: Sequence[_Node]) -> tuple[Block, ...]:
    blocks = _joined(block for node in nodes for block in _blocks(node))
    return _merged(blocks, layers=len(blocks) > MAX_BLOCKS)


def _tree(recording: Recording) -> _Node:
    """Returns the called layers as a tree along their dotted paths."""
    shapes = {call.name: call.output_shape or () for call in reversed(recording.calls)}
    rows = layer_rows(recording, -1)
    num_calls = Counter(row.name for row in rows)
    root = _Node("", recording.net, shapes[""])
    seen: set[str] = set()
    for row in rows:
        module = recording.net.get_submodule(row.name) if row.name else recording.net
        if isinstance(module, nn.Sequential) and not len(module):
            continue  # no hidden layers
        leaf = _leaf(row.name, module, row.output_shape[1:], row.num_parameters)
        if row.name not in recording.leaf_names and row.output_shape:
            leaf = replace(leaf, kind="own", title=f"{words(type(module).__name__)}: {OWN}", details=())
        if leaf.kind != "detail" and num_calls[row.name] > 1:
            if row.name in seen:
                continue  # the block of the first call has the parameters
            leaf = replace(leaf, details=(*leaf.details, "called more than once"))
        seen.add(row.name)
        node = root
        node.leaves.append(leaf)
        path = row.name.split(".") if row.name else []
        for depth in range(1, len(path) + 1):
            name = ".".join(path[:depth])
            if not node.children or node.children[-1].name != name:
                node.children.append(_Node(name, recording.net.get_submodule(name), shapes.get(name, ())))
            node = node.children[-1]
            node.leaves.append(leaf)
        if node.children:
            node.children.append(_Node(row.name, nn.Module(), leaf.shape, [leaf]))
    return root


def _blocks(node: _Node) -> list[Block]:
    """Returns the blocks of a node that is not opened further."""
    if not node.children:
        return node.leaves
    units = node.children if all(child.is_unit for child in node.children) else [node]
    drawn = units[-1]  # the first one may change the shape
    kind = type(drawn.module).__name__
    adds = [kind in ADDS or getattr(unit.module, "use_res_connect", False) for unit in units]
    parts = tuple(part for part in _joined(drawn.leaves) if ".downsample" not in part.name and OWN not in part.title)
    title = words(kind)
    if not drawn.is_unit:
        title = node.name if kind == "Sequential" else f"{node.name.rpartition('.')[2]}: {title}"
    return [
        Block(
            "group",
            title,
            node.name,
            () if len(parts) <= MAX_PARTS and drawn.is_unit else _contents(drawn.leaves),
            node.shape,
            sum(leaf.num_parameters for leaf in node.leaves),
            repeat=len(units),
            num_shortcuts=sum(adds),
            parts=parts if len(parts) <= MAX_PARTS and drawn.is_unit else (),
        )
    ]


def _contents(leaves: Sequence[Block]) -> tuple[str, ...]:
    """Returns how many layers of each kind there are."""
    counts = Counter(leaf.kind for leaf in leaves)
    nouns = {"conv": "convolution", "linear": "linear layer", "recurrent": "recurrent layer", "other": "other layer"}
    return tuple(counted(counts[kind], noun) for kind, noun in nouns.items() if counts[kind])


def _joined(leaves: Iterable[Block]) -> list[Block]:
    """Joins normalisation, activations and dropout to the layer before them."""
    blocks: list[Block] = []
    for leaf in leaves:
        if leaf.kind != "detail":
            blocks.append(leaf)
        elif not leaf.title or (leaf.title == "flatten" and not blocks):
            continue  # an identity, or the inputs as one row
        elif not blocks or blocks[-1].kind == "group":
            blocks.append(replace(leaf, kind="other", title=leaf.title[0].upper() + leaf.title[1:]))
        else:
            last = blocks[-1]
            is_new = leaf.title not in last.details[-1:] and leaf.title != "flatten"
            details = (*last.details, leaf.title) if is_new else last.details
            total = last.num_parameters + leaf.num_parameters
            blocks[-1] = replace(
                last, details=details, shape=leaf.shape or last.shape, num_parameters=total, last=leaf.name
            )
    return blocks


def _merged(blocks: Sequence[Block], *, layers: bool) -> tuple[Block, ...]:
    """Merges equal neighbours to one block with a count: always parts of the network, and layers on request."""
    merged: list[Block] = []
    for block in blocks:
        if merged and (layers or block.kind == "group") and _signature(merged[-1]) == _signature(block):
            last = merged[-1]
            merged[-1] = replace(
                block,
                name=last.name,
                last=block.last or block.name,
                num_parameters=last.num_parameters + block.num_parameters,
                repeat=last.repeat + block.repeat,
                num_shortcuts=last.num_shortcuts + block.num_shortcuts,
            )
        else:
            merged.append(block)
    return tuple(merged)


def _signature(block: Block) -> tuple[object, ...]:
    if block.kind == "group":
        return "group", block.title.rpartition(": ")[2], block.shape
    return block.kind, block.title, block.details, block.shape


def _with_states(recording: Recording, blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    """Adds what the calls do not tell: how states are pooled, and where those of the children of a node go."""
    for module in recording.net.modules():
        if isinstance(module, RecurrentNet):
            place = max(i for i, block in enumerate(blocks) if block.kind == "recurrent")
            title = POOLED[module.pooling]
            if module.bidirectional and module.pooling == "last":
                title = "last state of each direction"
            width = module.get_parameter("output.linear.weight").shape[1]
            shape = (*blocks[place].shape[:-1], width) if module.pooling == "none" else (width,)
            pooled = Block("pool", title[0].upper() + title[1:], "", shape=shape)
            return (*blocks[: place + 1], pooled, *blocks[place + 1 :])
        if isinstance(module, RecursiveNet | TreeLSTM):
            return tuple(
                replace(
                    block,
                    kind="recurrent",
                    title=f"{'Tree-LSTM' if isinstance(module, TreeLSTM) else 'tanh'} node, {module.hidden_size} units",
                    details=("reads the states of its two children",),
                    shape=(module.hidden_size,),
                    loop="for every node, from the leaves up",
                )
                if block.name.endswith("compose")
                else replace(block, details=("for every word",))
                if block.name.endswith("read")
                else block
                for block in blocks
            )
    return blocks


def _leaf(name: str, module: nn.Module, shape: tuple[int, ...], num_parameters: int) -> Block:
    """Returns the block of one layer. Small layers have the kind "detail"; they join the block before them."""
    kind, title, details, loop = described(module)
    if not shape and num_parameters:
        details = (*details, "not called")
    if kind == "pool" and title.startswith("Global") and max(shape[1:], default=1) > 1:
        title = f"{title.split()[1].capitalize()} pooling to {sizes(shape[1:], at_least=2)}"
    return Block(kind, title, name, details, shape, num_parameters, loop=loop)
